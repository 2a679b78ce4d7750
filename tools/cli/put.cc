#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "tools/cli/local_file.h"
#include "tools/cli/progress.h"
#include "tools/cli/session.h"
#include "tools/cli/text.h"
#include "tools/cli/transfer.h"
#include "tools/cli/tree.h"
#include "tools/cli/where.h"

namespace chordfs::cli {

namespace {
namespace local = std::filesystem;

struct Put {
  std::string file, path;
  bool recursive = false;
  std::uint64_t limit = 0;
};

/// The part of a tree that is put now, and how far it all is.
struct Tree {
  FileSystem& files;
  ProgressBar bar;
  Pace pace;
  std::uint64_t done = 0;  ///< In files that are finished.
};

std::uint64_t bytes_below(const std::string& directory) {
  std::uint64_t sum = 0;
  std::error_code error;
  local::recursive_directory_iterator at(directory, error), end;
  for (; !error && at != end; at.increment(error))
    if (std::error_code unknown; at->is_regular_file(unknown) && !at->is_symlink(unknown)) {
      auto size = at->file_size(unknown);
      if (!unknown) sum += size;
    }
  return sum;
}

std::optional<std::uint64_t> size_of(const std::string& file) {
  std::error_code error;
  if (local::is_directory(file, error)) return bytes_below(file);
  if (file == "-" || !local::is_regular_file(file, error)) return std::nullopt;
  auto size = local::file_size(file, error);
  return error ? std::nullopt : std::optional<std::uint64_t>(size);
}

awaitable<Result<void>> put_any(Tree& tree, std::string file, Place place, std::string path);

awaitable<Result<void>> put_file(Tree& tree, std::string file, Place place, std::string path) {
  CO_TRY(auto source, LocalSource::open(tree.files.client().runtime(), file));
  auto reached = [&tree](std::uint64_t bytes) {
    tree.bar.reached(tree.done + bytes);
    return tree.pace.reached(tree.done + bytes);
  };
  CO_TRY_VOID(co_await write_all(tree.files, path, place.dir, place.name, source, reached));
  tree.done += source.end();
  co_return Result<void>();
}

awaitable<Result<void>> put_link(Tree& tree, std::string file, Place place, std::string path) {
  std::error_code error;
  auto target = local::read_symlink(file, error);
  if (error) co_return os_error(file, error.value());
  NewObject object{.type = wire::FILE_SYMLINK, .mode = 0777, .rdev = 0, .target = target.string()};
  auto made = co_await tree.files.make(place.dir, place.name, object, caller());
  if (!made) co_return about(path, made.error());
  co_return Result<void>();
}

awaitable<Result<void>> put_directory(Tree& tree, std::string directory, Place place, std::string path) {
  struct stat status{};
  if (stat(directory.c_str(), &status) != 0) co_return os_error(directory, errno);
  NewObject object{.type = wire::FILE_DIRECTORY, .mode = mode_of(status), .rdev = 0, .target = {}};
  auto made = co_await tree.files.make(place.dir, place.name, object, caller());
  if (!made) co_return about(path, made.error());
  std::error_code error;
  local::directory_iterator at(directory, error), end;
  for (; !error && at != end; at.increment(error)) {
    auto name = at->path().filename().string();
    CO_TRY_VOID(co_await put_any(tree, at->path().string(), {made->ino(), name}, joined(path, name)));
  }
  if (error) co_return os_error(directory, error.value());
  SetAttributes set;
  set.mtime = mtime_of(status);
  auto dated = co_await tree.files.set_attributes(made->ino(), set);
  if (!dated) co_return about(path, dated.error());
  co_return Result<void>();
}

awaitable<Result<void>> put_any(Tree& tree, std::string file, Place place, std::string path) {
  std::error_code error;
  auto status = local::symlink_status(file, error);
  if (local::is_symlink(status)) return put_link(tree, std::move(file), std::move(place), std::move(path));
  if (local::is_directory(status)) return put_directory(tree, std::move(file), std::move(place), std::move(path));
  return put_file(tree, std::move(file), std::move(place), std::move(path));
}

/// Where it goes, if it may go there.
awaitable<Result<Place>> target_of(FileSystem& files, const Put& put, bool directory) {
  std::string name =
      put.file == "-" ? "" : std::string(base_name(local::absolute(put.file).lexically_normal().string()));
  CO_TRY(auto place, co_await resolve_target(files, put.path, name));
  CO_TRY(auto there, co_await look_at(files, place));
  if (there && (directory || there->type() == wire::FILE_DIRECTORY))
    co_return Error{Errc::exists, printable(put.path) + ": " + printable(place.name) +
                                      " exists there: remove it first, or name another"};
  co_return place;
}

awaitable<Result<int>> put_it(FileSystem& files, Undo& undo, Put put) {
  std::error_code error;
  bool directory = put.file != "-" && local::is_directory(put.file, error);
  if (directory && !put.recursive) co_return needs_recursive(put.file);
  // What is not there is told before anything is begun.
  if (!directory) CO_TRY_VOID(LocalSource::open(files.client().runtime(), put.file));
  CO_TRY(auto place, co_await target_of(files, put, directory));
  // Under another name until it is whole: nobody sees half a file, and what was there before stays that long.
  Place temporary{place.dir, fmt::format(".chordfs-put.{:016x}", files.client().runtime().random())};
  undo.add(fmt::format("remove {} beside {}", temporary.name, put.path),
           [temporary](FileSystem& ring) { return remove_all(ring, temporary, temporary.name); });
  {
    Tree tree{files, ProgressBar(files.client().runtime(), std::string(base_name(put.file)), size_of(put.file)),
              Pace(files.client().runtime(), put.limit)};
    auto done = directory ? co_await put_directory(tree, put.file, temporary, put.path)
                          : co_await put_file(tree, put.file, temporary, put.path);
    if (!done) co_return done.error();
  }
  auto how = directory ? Rename::no_replace : Rename::plain;
  auto renamed = co_await files.rename(temporary.dir, temporary.name, place.dir, place.name, how);
  if (!renamed) co_return about(put.path, renamed.error());
  co_return kDone;
}
}  // namespace

void add_put(Program& program) {
  auto put = std::make_shared<Put>();
  auto* sub = add(program,
                  {.name = "put",
                   .what = "Copies a file of this machine into the ring",
                   .example = "chordfs put report.pdf /papers/",
                   .json = ""},
                  [put](Shared shared) {
                    put->path = path_of(put->path, shared);
                    return with_files(shared, Opens::files,
                                      [&](FileSystem& files, Undo& undo) { return put_it(files, undo, *put); });
                  });
  sub->add_option("FILE", put->file, "A file of this machine; - is standard input")->required();
  sub->add_option("PATH", put->path, "Its path in the ring; a directory: into it. A file there is replaced")
      ->required();
  add_limit(*sub, put->limit);
  sub->add_flag("-r,--recursive", put->recursive, "A directory, with everything below it");
}

}  // namespace chordfs::cli
