#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
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

struct Get {
  std::string path, file = ".";
  bool recursive = false;
  bool resume = false;
  std::uint64_t limit = 0;
};

struct Tree {
  FileSystem& files;
  ProgressBar bar;
  Pace pace;
  std::uint64_t done = 0;  ///< In files that are finished.
  bool whole = true;       ///< Nothing was left out.
};

/// Removes its part however the work ends, or keeps it for the next run; not once it was finished.
class Part {
 public:
  Part(LocalTarget target, bool keeps) : target_(std::move(target)), keeps_(keeps) {}
  ~Part() {
    if (finished_) return;
    if (!keeps_) {
      target_.remove();
      return;
    }
    target_.keep();
    show_status("");
    fmt::print(stderr, "chordfs get: {} is kept: the same command goes on with it\n", printable(target_.part()));
  }
  Part(const Part&) = delete;
  LocalTarget& target() { return target_; }
  Result<void> finish() {
    TRY_VOID(target_.finish());
    finished_ = true;
    return {};
  }

 private:
  LocalTarget target_;
  bool keeps_;
  bool finished_ = false;
};

awaitable<Result<void>> get_file(Tree& tree, std::string path, wire::Attr attr, std::string file, bool resume) {
  CO_TRY(auto target, LocalTarget::create(file, attr, resume ? LocalTarget::Part::resumed : LocalTarget::Part::fresh));
  Part part(std::move(target), resume);
  auto begin = part.target().begins_at();
  if (begin > 0) tree.bar.begin_at(begin);
  auto take = [&](std::uint64_t offset, Bytes bytes) -> awaitable<Result<void>> {
    CO_TRY_VOID(part.target().write(offset, bytes));
    auto reached = offset + bytes.size();
    tree.bar.reached(tree.done + reached);
    co_await tree.pace.reached(tree.done + reached - begin);
    co_return Result<void>();
  };
  CO_TRY_VOID(co_await read_all(tree.files, path, attr.ino(), begin, take));
  tree.done += attr.size();
  co_return part.finish();
}

awaitable<Result<void>> get_any(Tree& tree, std::string path, wire::Attr attr, std::string file);

awaitable<Result<void>> get_link(Tree& tree, std::string path, wire::Attr attr, std::string file) {
  auto target = co_await tree.files.read_link(attr.ino());
  if (!target) co_return about(path, target.error());
  if (symlink(target->c_str(), file.c_str()) != 0) co_return os_error(file, errno);
  co_return Result<void>();
}

/// A name from the ring becomes a name here: it must be one.
bool is_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
}

awaitable<Result<void>> get_entry(Tree& tree, std::string path, std::string file, DirectoryEntry entry) {
  auto below = joined(path, entry.name);
  if (!is_name(entry.name)) co_return Error{Errc::invalid, printable(below) + ": no name for a file of this machine"};
  if (entry.attr) co_return co_await get_any(tree, below, *entry.attr, joined(file, entry.name));
  auto attr = co_await tree.files.get_attributes(entry.ino);
  if (!attr) co_return about(below, attr.error());
  co_return co_await get_any(tree, below, *attr, joined(file, entry.name));
}

awaitable<Result<void>> get_directory(Tree& tree, std::string path, wire::Attr attr, std::string file) {
  // Ours alone until it is whole; its own mode comes last, as it may forbid writing.
  if (::mkdir(file.c_str(), 0700) != 0) co_return os_error(file, errno);
  CO_TRY_VOID(co_await for_each_entry(
      tree.files, attr.ino(), [&](DirectoryEntry entry) { return get_entry(tree, path, file, std::move(entry)); }));
  if (chmod(file.c_str(), attr.mode() & 0777U & ~umask_now()) != 0) co_return os_error(file, errno);
  co_return Result<void>();
}

awaitable<Result<void>> get_any(Tree& tree, std::string path, wire::Attr attr, std::string file) {
  switch (attr.type()) {
    case wire::FILE_REGULAR:
      co_return co_await get_file(tree, std::move(path), std::move(attr), std::move(file), false);
    case wire::FILE_DIRECTORY:
      co_return co_await get_directory(tree, std::move(path), std::move(attr), std::move(file));
    case wire::FILE_SYMLINK:
      co_return co_await get_link(tree, std::move(path), std::move(attr), std::move(file));
    default:
      show_status("");
      fmt::print(stderr, "chordfs get: {}: left out, it is a {}\n", printable(path), type_name(attr.type()));
      tree.whole = false;
      co_return Result<void>();
  }
}

/// A directory beside its place until it is whole.
class PartDirectory {
 public:
  explicit PartDirectory(std::string path) : path_(std::move(path)), part_(path_ + ".part") {}
  ~PartDirectory() {
    std::error_code ignored;
    if (begun_) local::remove_all(part_, ignored);
  }
  PartDirectory(const PartDirectory&) = delete;
  const std::string& part() const { return part_; }
  /// `part` must not be there yet: it would be another's.
  Result<void> begin() {
    std::error_code error;
    for (const auto& path : {path_, part_})
      if (local::symlink_status(path, error).type() != local::file_type::not_found)
        return Error{Errc::exists, printable(path) + " exists: remove it first, or name another"};
    begun_ = true;
    return {};
  }
  Result<void> finish() {
    if (std::rename(part_.c_str(), path_.c_str()) != 0) return os_error(path_, errno);
    begun_ = false;
    return {};
  }

 private:
  std::string path_, part_;
  bool begun_ = false;
};

awaitable<Result<int>> get_tree(Tree& tree, std::string path, wire::Attr attr, std::string file) {
  PartDirectory directory(file);
  CO_TRY_VOID(directory.begin());
  CO_TRY_VOID(co_await get_directory(tree, path, std::move(attr), directory.part()));
  CO_TRY_VOID(directory.finish());
  co_return tree.whole ? kDone : kFailed;
}

awaitable<Result<int>> get_it(FileSystem& files, Get get) {
  CO_TRY(auto attr, co_await resolve(files, get.path, LastLink::follow));
  bool directory = attr.type() == wire::FILE_DIRECTORY;
  if (directory && !get.recursive) co_return needs_recursive(get.path);
  if (!directory && attr.type() != wire::FILE_REGULAR)
    co_return Error{Errc::not_supported,
                    fmt::format("{}: a {} has no contents", printable(get.path), type_name(attr.type()))};
  std::error_code error;
  auto name = std::string(base_name(get.path));
  if (local::is_directory(get.file, error)) get.file = joined(get.file, name.empty() ? "root" : name);
  auto total = directory ? std::nullopt : std::optional(attr.size());
  Tree tree{files, ProgressBar(files.client().runtime(), name, total), Pace(files.client().runtime(), get.limit)};
  if (directory) co_return co_await get_tree(tree, get.path, attr, get.file);
  CO_TRY_VOID(co_await get_file(tree, get.path, attr, get.file, get.resume));
  co_return kDone;
}
}  // namespace

void add_get(Program& program) {
  auto get = std::make_shared<Get>();
  auto* sub =
      add(program,
          {.name = "get",
           .what = "Copies a file of the ring to this machine",
           .example = "chordfs get /papers/report.pdf --resume",
           .json = ""},
          [get](Shared shared) {
            get->path = path_of(get->path, shared);
            return with_files(shared, Opens::files, [&](FileSystem& files, Undo&) { return get_it(files, *get); });
          });
  sub->add_option("PATH", get->path, "A path of the ring")->required();
  sub->add_option("FILE", get->file, "Where to; a directory: into it (default: here). A file there is replaced");
  add_limit(*sub, get->limit);
  auto* recursive = sub->add_flag("-r,--recursive", get->recursive, "A directory, with everything below it");
  sub->add_flag("--resume", get->resume, "Keep FILE.part when interrupted, and go on from one that is there")
      ->excludes(recursive);
}

}  // namespace chordfs::cli
