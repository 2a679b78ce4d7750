#include "tools/cli/tree.h"

#include <fmt/format.h>

#include <deque>

#include "tools/cli/text.h"

namespace chordfs::cli {

namespace {
/// For what a person can do something about; nothing for the rest, whose own context is the best there is.
std::string_view why(Errc code) {
  switch (code) {
    case Errc::not_found:
      return "no such file or directory";
    case Errc::exists:
      return "exists already";
    case Errc::not_directory:
      return "not a directory";
    case Errc::is_directory:
      return "a directory";
    case Errc::not_empty:
      return "the directory is not empty";
    case Errc::name_too_long:
      return "a name of more than 255 bytes";
    case Errc::disk_full:
      return "no space left in the ring: add nodes or remove files";
    case Errc::bad_handle:
      return "it was removed meanwhile";
    case Errc::session_closed:
      return "the ring did not hear of this command for too long and gave up on it: try again";
    case Errc::unavailable:
    case Errc::timed_out:
      return "the nodes that hold it do not answer: see chordfs ring, and try again";
    default:
      return {};
  }
}

std::deque<std::string> names_of(const std::string& path) {
  std::deque<std::string> names;
  for (std::size_t begin = 0; begin < path.size();) {
    auto end = std::min(path.find('/', begin), path.size());
    if (end > begin) names.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

/// Follows one path from the root.
class Walk {
 public:
  Walk(FileSystem& files, std::string path, LastLink last)
      : files_(files), path_(std::move(path)), last_(last), names_(names_of(path_)) {}

  awaitable<Result<wire::Attr>> run() {
    CO_TRY_VOID(co_await begin());
    while (!names_.empty()) {
      auto name = std::move(names_.front());
      names_.pop_front();
      if (name == ".") continue;
      if (name == "..") {
        if (above_.size() > 1) above_.pop_back();
        continue;
      }
      CO_TRY_VOID(co_await step(std::move(name)));
    }
    co_return above_.back();
  }

 private:
  awaitable<Result<void>> begin() {
    auto attr = co_await files_.get_attributes(kRootIno);
    if (!attr) co_return about("/", attr.error());
    above_.assign(1, *attr);
    co_return Result<void>();
  }

  awaitable<Result<void>> step(std::string name) {
    if (above_.back().type() != wire::FILE_DIRECTORY) co_return about(path_, {Errc::not_directory, ""});
    auto attr = co_await files_.lookup(above_.back().ino(), name);
    if (!attr) co_return about(path_, attr.error());
    bool follows = attr->type() == wire::FILE_SYMLINK && (!names_.empty() || last_ == LastLink::follow);
    if (follows) co_return co_await follow(attr->ino());
    above_.push_back(*attr);
    co_return Result<void>();
  }

  awaitable<Result<void>> follow(Ino link) {
    if (++followed_ > kLinksFollowedMax) co_return Error{Errc::invalid, path_ + ": too many symbolic links"};
    auto target = co_await files_.read_link(link);
    if (!target) co_return about(path_, target.error());
    if (target->starts_with('/')) above_.resize(1);
    auto further = names_of(*target);
    names_.insert(names_.begin(), further.begin(), further.end());
    co_return Result<void>();
  }

  FileSystem& files_;
  std::string path_;
  LastLink last_;
  std::deque<std::string> names_;
  std::vector<wire::Attr> above_;  ///< The root first.
  int followed_ = 0;
};

awaitable<Result<void>> remove_entries(FileSystem& files, Ino dir, std::string path) {
  // From the start each time: what was listed is gone.
  for (;;) {
    auto entries = co_await files.read_directory(dir, 0, kEntriesPerAsk, false);
    if (!entries) co_return about(path, entries.error());
    if (entries->empty()) co_return Result<void>();
    for (const auto& entry : *entries)
      CO_TRY_VOID(co_await remove_all(files, {dir, entry.name}, joined(path, entry.name)));
  }
}
}  // namespace

Error about(const std::string& path, const Error& error) {
  auto reason = why(error.code);
  return {error.code, fmt::format("{}: {}", printable(path), reason.empty() ? error.text() : std::string(reason))};
}

Error needs_recursive(const std::string& path) {
  return {Errc::is_directory, printable(path) + ": a directory: add -r to take all of it"};
}

awaitable<Result<wire::Attr>> resolve(FileSystem& files, std::string path, LastLink last) {
  Walk walk(files, std::move(path), last);
  co_return co_await walk.run();
}

awaitable<Result<Place>> resolve_place(FileSystem& files, std::string path) {
  Place place{0, std::string(base_name(path))};
  if (place.name == "/" || place.name.empty() || place.name == "." || place.name == "..")
    co_return Error{Errc::invalid, path + ": name something below a directory"};
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  path.resize(path.size() - place.name.size());
  CO_TRY(auto dir, co_await resolve(files, path, LastLink::follow));
  if (dir.type() != wire::FILE_DIRECTORY) co_return about(path, {Errc::not_directory, ""});
  place.dir = dir.ino();
  co_return place;
}

awaitable<Result<Place>> resolve_target(FileSystem& files, std::string path, std::string name) {
  auto there = co_await resolve(files, path, LastLink::follow);
  if (there && there->type() == wire::FILE_DIRECTORY) {
    if (name.empty()) co_return about(path, {Errc::is_directory, ""});
    co_return Place{there->ino(), std::move(name)};
  }
  if (!there && there.code() != Errc::not_found) co_return there.error();
  if (path.ends_with('/')) co_return about(path, {there ? Errc::not_directory : Errc::not_found, ""});
  co_return co_await resolve_place(files, std::move(path));
}

awaitable<Result<std::optional<wire::Attr>>> look_at(FileSystem& files, Place place) {
  auto attr = co_await files.lookup(place.dir, place.name);
  if (attr) co_return std::optional(std::move(*attr));
  if (attr.code() == Errc::not_found) co_return std::optional<wire::Attr>();
  co_return about(place.name, attr.error());
}

awaitable<Result<void>> for_each_entry(FileSystem& files, Ino dir, EachEntry each) {
  for (std::uint64_t cookie = 0;;) {
    CO_TRY(auto entries, co_await files.read_directory(dir, cookie, kEntriesPerAsk, true));
    if (entries.empty()) co_return Result<void>();
    cookie = entries.back().cookie;
    for (auto& entry : entries) CO_TRY_VOID(co_await each(std::move(entry)));
  }
}

awaitable<Result<void>> remove_all(FileSystem& files, Place place, std::string path) {
  CO_TRY(auto there, co_await look_at(files, place));
  if (!there) co_return Result<void>();
  bool directory = there->type() == wire::FILE_DIRECTORY;
  if (directory) CO_TRY_VOID(co_await remove_entries(files, there->ino(), path));
  auto removed =
      directory ? co_await files.remove_directory(place.dir, place.name) : co_await files.unlink(place.dir, place.name);
  // Somebody else was faster.
  if (!removed && removed.code() != Errc::not_found) co_return about(path, removed.error());
  co_return Result<void>();
}

std::string joined(const std::string& directory, const std::string& name) {
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

char type_letter(wire::FileType type) {
  switch (type) {
    case wire::FILE_REGULAR:
      return '-';
    case wire::FILE_DIRECTORY:
      return 'd';
    case wire::FILE_SYMLINK:
      return 'l';
    case wire::FILE_FIFO:
      return 'p';
    case wire::FILE_SOCKET:
      return 's';
    case wire::FILE_CHAR:
      return 'c';
    case wire::FILE_BLOCK:
      return 'b';
    default:
      return '?';
  }
}

std::string type_name(wire::FileType type) {
  switch (type) {
    case wire::FILE_REGULAR:
      return "file";
    case wire::FILE_DIRECTORY:
      return "directory";
    case wire::FILE_SYMLINK:
      return "symlink";
    case wire::FILE_FIFO:
      return "fifo";
    case wire::FILE_SOCKET:
      return "socket";
    case wire::FILE_CHAR:
      return "character device";
    case wire::FILE_BLOCK:
      return "block device";
    default:
      return "unknown";
  }
}

}  // namespace chordfs::cli
