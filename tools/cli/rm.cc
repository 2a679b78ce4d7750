#include "tools/cli/session.h"
#include "tools/cli/tree.h"
#include "tools/cli/where.h"

namespace chordfs::cli {

namespace {
awaitable<Result<void>> remove_one(FileSystem& files, std::string path, bool recursive) {
  CO_TRY(auto place, co_await resolve_place(files, path));
  CO_TRY(auto there, co_await look_at(files, place));
  if (!there) co_return about(path, {Errc::not_found, ""});
  if (recursive) co_return co_await remove_all(files, place, path);
  if (there->type() == wire::FILE_DIRECTORY) co_return needs_recursive(path);
  auto removed = co_await files.unlink(place.dir, place.name);
  if (!removed) co_return about(path, removed.error());
  co_return Result<void>();
}

awaitable<Result<int>> remove(FileSystem& files, std::vector<std::string> paths, bool recursive) {
  for (const auto& path : paths) CO_TRY_VOID(co_await remove_one(files, path, recursive));
  co_return kDone;
}
}  // namespace

void add_rm(Program& program) {
  auto paths = std::make_shared<std::vector<std::string>>();
  auto recursive = std::make_shared<bool>(false);
  auto* sub = add(program,
                  {.name = "rm", .what = "Removes files from the ring", .example = "chordfs rm -r /photos", .json = ""},
                  [paths, recursive](Shared shared) {
                    for (auto& path : *paths) path = path_of(path, shared);
                    return with_files(shared, Opens::files,
                                      [&](FileSystem& files, Undo&) { return remove(files, *paths, *recursive); });
                  });
  sub->add_option("PATH", *paths, "What is removed; a symbolic link itself, not what it names")->required();
  sub->add_flag("-r,--recursive", *recursive, "Directories too, with everything below them");
}

}  // namespace chordfs::cli
