#pragma once
// Attributes: lookups, attributes, listings, symbolic links' targets. Owner: FileSystem. Thread: the Runtime's.

#include "fuse/fs/core.h"
#include "fuse/fs/write_behind.h"

namespace chordfs::fs {

inline constexpr std::size_t kEntriesPerPageMax = 1000;
inline constexpr Duration kUsageAge = 1s;

class Attributes {
 public:
  Attributes(Core& core, WriteBehind& writes) : core_(core), writes_(writes) {}

  awaitable<Result<wire::Attr>> lookup(Place place);
  awaitable<Result<wire::Attr>> get(Ino ino);
  awaitable<Result<wire::Attr>> set(Ino ino, SetAttributes set);
  awaitable<Result<std::string>> read_link(Ino ino);
  awaitable<Result<std::vector<DirectoryEntry>>> read_directory(Ino dir, std::uint64_t cookie, std::size_t entries_max,
                                                                bool plus);
  awaitable<Result<Usage>> usage();

  /// What stands at a place, from the directory's arc; `attr` if that arc has the inode too.
  struct Entry {
    Found found;
    std::optional<wire::Attr> attr;
  };
  awaitable<Result<Entry>> entry(Place place);

 private:
  struct Guess {
    Ino ino = 0;  ///< 0: none was made.
    OneShot<Result<wire::Attr>> attr;
  };
  Guess guess(const Place& place);
  awaitable<void> fetch(Ino ino, OneShot<Result<wire::Attr>> attr);
  awaitable<Result<wire::Attr>> resize(std::shared_ptr<InodeState> inode, wire::SetAttr set);
  /// The attributes afterwards as the arc has them, without what is unsent.
  awaitable<Result<wire::Attr>> send(wire::SetAttr set);

  Core& core_;
  WriteBehind& writes_;
  Usage usage_;
  std::optional<Time> usage_at_;
  Semaphore asking_usage_{1};
};

}  // namespace chordfs::fs
