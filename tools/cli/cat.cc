#include <cerrno>

#include "tools/cli/local_file.h"
#include "tools/cli/session.h"
#include "tools/cli/transfer.h"
#include "tools/cli/tree.h"
#include "tools/cli/where.h"

namespace chordfs::cli {

namespace {
awaitable<Result<int>> print_all(FileSystem& files, std::vector<std::string> paths) {
  LocalOutput output(files.client().runtime());
  for (const auto& path : paths) {
    CO_TRY(auto attr, co_await resolve(files, path, LastLink::follow));
    auto done = co_await read_all(files, path, attr.ino(), 0,
                                  [&](std::uint64_t, Bytes bytes) { return output.write(std::move(bytes)); });
    if (output.unwanted()) co_return kFailed;
    CO_TRY_VOID(std::move(done));
  }
  co_return kDone;
}
}  // namespace

void add_cat(Program& program) {
  auto paths = std::make_shared<std::vector<std::string>>();
  auto* sub =
      add(program,
          {.name = "cat", .what = "Prints files of the ring", .example = "chordfs cat /notes.txt | less", .json = ""},
          [paths](Shared shared) {
            for (auto& path : *paths) path = path_of(path, shared);
            return with_files(shared, Opens::files, [&](FileSystem& files, Undo&) { return print_all(files, *paths); });
          });
  sub->add_option("PATH", *paths, "What is printed, one after the other")->required();
}

}  // namespace chordfs::cli
