#pragma once
// Directory: one opendir(3) and its place in the listing; EntryBuffer: the kernel's format of a page of entries.
//
// Cookies: 0 before everything, 1 after ".", 2 after "..", from 16 on those of FileSystem, which stay right when
// entries come and go, so seekdir works. Offset 0 (rewinddir) reads anew. Owner: Operations, by handle; shared with the
// calls under way. Thread: the Runtime's. Limits: one page of at most kDirEntriesPerPageMax names is kept.

#include <string>
#include <string_view>
#include <vector>

#include "fuse/fs/filesystem.h"
#include "proto/base/result.h"

namespace chordfs::mount {

inline constexpr std::uint64_t kCookieStart = 0;
inline constexpr std::uint64_t kCookieSelf = 1;
inline constexpr std::uint64_t kCookieParent = 2;

enum class Listing { names, attributes };

class EntryBuffer {
 public:
  EntryBuffer(Listing listing, std::size_t bytes_max) : listing_(listing), bytes_max_(bytes_max) {}

  /// False, and nothing added, once it is full. Attributes are passed on if the listing wants them and the entry has
  /// them; otherwise the kernel looks the entry up when it needs them.
  bool add(const DirectoryEntry& entry);
  bool empty() const { return bytes_.empty(); }
  std::string take() && { return std::move(bytes_); }

 private:
  Listing listing_;
  std::size_t bytes_max_;
  std::string bytes_;
};

class Directory {
 public:
  Directory(FileSystem& files, Ino ino) : files_(files), ino_(ino) {}

  /// The entries after `cookie`, as many as fit into `bytes_max`; empty at the end.
  awaitable<Result<std::string>> read(Listing listing, std::uint64_t cookie, std::size_t bytes_max);

 private:
  awaitable<Result<void>> read_page(Listing listing, std::uint64_t cookie, std::size_t bytes_max);
  /// Where in the page the entries after `cookie` begin; nothing if the page is not the right one.
  std::optional<std::size_t> position_after(std::uint64_t cookie) const;

  FileSystem& files_;
  Ino ino_;
  std::vector<DirectoryEntry> page_;  ///< Names only: see read_page().
  std::uint64_t page_after_ = 0;      ///< The cookie that the page was asked for with.
  bool page_valid_ = false;
};

}  // namespace chordfs::mount
