#pragma once
// Extended attributes, as they are stored; and one that is made up when it is read: `user.chordfs.location`, which
// tells where on the ring an inode and its blocks live. It is not listed and cannot be set.
// Names under `system.` are refused: an ACL that is stored but that nobody enforces would be a trap.
// Owner: FileSystem. Thread: the Runtime's.

#include "fuse/fs/core.h"

namespace chordfs::fs {

inline constexpr std::string_view kOwnXattrs = "user.chordfs.";
inline constexpr std::string_view kLocationXattr = "user.chordfs.location";

class Xattrs {
 public:
  explicit Xattrs(Core& core) : core_(core) {}

  awaitable<Result<std::string>> get(Ino ino, std::string name);
  awaitable<Result<std::vector<std::string>>> list(Ino ino);
  awaitable<Result<void>> set(Ino ino, std::string name, std::string value, SetXattr how);
  awaitable<Result<void>> remove(Ino ino, std::string name);

 private:
  awaitable<Result<void>> send(wire::Step step, Ino ino);

  Core& core_;
};

/// The text of `user.chordfs.location`, one fact a line.
awaitable<Result<std::string>> describe_location(Core& core, Ino ino);

}  // namespace chordfs::fs
