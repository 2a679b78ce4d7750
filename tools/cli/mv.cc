#include "tools/cli/session.h"
#include "tools/cli/tree.h"
#include "tools/cli/where.h"

namespace chordfs::cli {

namespace {
awaitable<Result<int>> move(FileSystem& files, std::string from, std::string to) {
  CO_TRY(auto source, co_await resolve_place(files, from));
  CO_TRY(auto target, co_await resolve_target(files, to, source.name));
  auto moved = co_await files.rename(source.dir, source.name, target.dir, target.name, Rename::plain);
  if (moved) co_return kDone;
  co_return about(moved.code() == Errc::not_found ? from : from + " to " + to, moved.error());
}
}  // namespace

void add_mv(Program& program) {
  struct Move {
    std::string from, to;
  };
  auto paths = std::make_shared<Move>();
  auto* sub = add(program,
                  {.name = "mv",
                   .what = "Renames or moves within the ring",
                   .example = "chordfs mv /draft.txt /letters/final.txt",
                   .json = ""},
                  [paths](Shared shared) {
                    paths->from = path_of(paths->from, shared);
                    paths->to = path_of(paths->to, shared);
                    return with_files(shared, Opens::files,
                                      [&](FileSystem& files, Undo&) { return move(files, paths->from, paths->to); });
                  });
  sub->add_option("FROM", paths->from, "What is moved")->required();
  sub->add_option("TO", paths->to, "Its new path; a directory: into it. A file there is replaced")->required();
}

}  // namespace chordfs::cli
