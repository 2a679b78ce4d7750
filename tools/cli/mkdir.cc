#include <sys/stat.h>
#include <unistd.h>

#include "tools/cli/local_file.h"
#include "tools/cli/session.h"
#include "tools/cli/tree.h"
#include "tools/cli/where.h"

namespace chordfs::cli {

namespace {
awaitable<Result<void>> make_one(FileSystem& files, std::string path) {
  CO_TRY(auto place, co_await resolve_place(files, path));
  NewObject object{.type = wire::FILE_DIRECTORY, .mode = 0777 & ~umask_now(), .rdev = 0, .target = {}};
  auto made = co_await files.make(place.dir, place.name, object, caller());
  if (!made) co_return about(path, made.error());
  co_return Result<void>();
}

awaitable<Result<void>> make_parents(FileSystem& files, std::string path) {
  for (auto end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    auto made = co_await make_one(files, path.substr(0, end));
    if (!made && made.code() != Errc::exists) co_return made;
  }
  auto made = co_await make_one(files, path);
  if (made || made.code() != Errc::exists) co_return made;
  CO_TRY(auto there, co_await resolve(files, path, LastLink::follow));
  co_return there.type() == wire::FILE_DIRECTORY ? Result<void>() : made;
}

awaitable<Result<int>> make_directories(FileSystem& files, std::vector<std::string> paths, bool parents) {
  for (const auto& path : paths)
    CO_TRY_VOID(parents ? co_await make_parents(files, path) : co_await make_one(files, path));
  co_return kDone;
}
}  // namespace

void add_mkdir(Program& program) {
  auto paths = std::make_shared<std::vector<std::string>>();
  auto parents = std::make_shared<bool>(false);
  auto* sub = add(program,
                  {.name = "mkdir",
                   .what = "Makes directories in the ring",
                   .example = "chordfs mkdir -p /photos/2026",
                   .json = ""},
                  [paths, parents](Shared shared) {
                    for (auto& path : *paths) path = path_of(path, shared);
                    return with_files(shared, Opens::files, [&](FileSystem& files, Undo&) {
                      return make_directories(files, *paths, *parents);
                    });
                  });
  sub->add_option("PATH", *paths, "The new directories")->required();
  sub->add_flag("-p,--parents", *parents, "Those above as well; no error if they exist");
}

}  // namespace chordfs::cli
