#pragma once
// Tree: paths of a ring, on top of a FileSystem. Thread: the Runtime's.
// Errors: those of FileSystem; the context begins with the path that they are about and is meant for people.
// Limits: kLinksFollowedMax symbolic links in one path.

#include <functional>
#include <string>

#include "fuse/fs/filesystem.h"

namespace chordfs::cli {

inline constexpr int kLinksFollowedMax = 40;
inline constexpr std::size_t kEntriesPerAsk = 1000;

enum class LastLink { follow, keep };  ///< If the path's last name is a symbolic link.

/// Where a name stands, or would stand.
struct Place {
  Ino dir = 0;
  std::string name;
};

/// The same error, saying of which path and what to do.
Error about(const std::string& path, const Error& error);
/// `path` is a directory, and -r was not given.
Error needs_recursive(const std::string& path);

awaitable<Result<wire::Attr>> resolve(FileSystem& files, std::string path, LastLink last);
/// The directory that the path's last name stands in, which must exist. Errors: invalid for the root.
awaitable<Result<Place>> resolve_place(FileSystem& files, std::string path);
/// Where something called `name` goes that a person sends to `path`: into it if it is a directory, else there.
awaitable<Result<Place>> resolve_target(FileSystem& files, std::string path, std::string name);
/// What stands there; nothing if nothing does.
awaitable<Result<std::optional<wire::Attr>>> look_at(FileSystem& files, Place place);

/// Every entry of a directory, a page at a time.
using EachEntry = std::function<awaitable<Result<void>>(DirectoryEntry)>;
awaitable<Result<void>> for_each_entry(FileSystem& files, Ino dir, EachEntry each);

/// Removes what stands there and, if it is a directory, everything below it.
awaitable<Result<void>> remove_all(FileSystem& files, Place place, std::string path);

std::string joined(const std::string& directory, const std::string& name);
/// "-", "d", "l" and so on, as of ls -l.
char type_letter(wire::FileType type);
/// "file", "directory", "symlink" and so on, as of --json.
std::string type_name(wire::FileType type);

}  // namespace chordfs::cli
