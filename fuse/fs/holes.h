#pragma once
// Holes: fallocate(2), and SEEK_DATA and SEEK_HOLE of lseek(2). Both work on what is committed, so what is unsent of
// the file is committed first. Owner: FileSystem. Thread: the Runtime's. Errors: those of a commit; file_too_large.

#include <memory>
#include <optional>

#include "fuse/fs/core.h"
#include "fuse/fs/write_behind.h"

namespace chordfs::fs {

class Holes {
 public:
  Holes(Core& core, WriteBehind& writes) : core_(core), writes_(writes) {}

  awaitable<Result<void>> allocate(std::shared_ptr<InodeState> inode, std::uint64_t offset, std::uint64_t length,
                                   Allocate how);
  awaitable<Result<std::optional<std::uint64_t>>> seek(std::shared_ptr<InodeState> inode, std::uint64_t offset,
                                                       Seek what);

 private:
  Core& core_;
  WriteBehind& writes_;
};

}  // namespace chordfs::fs
