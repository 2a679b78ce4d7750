#pragma once
// OpenFile: one handle. Owner: Files' table, and the operations under way on it. Thread: the Runtime's.

#include <memory>

#include "fuse/fs/inode_state.h"
#include "fuse/fs/read_ahead.h"

namespace chordfs::fs {

struct OpenFile {
  std::shared_ptr<InodeState> inode;
  std::uint64_t session = 0;      ///< In which it was opened.
  std::uint64_t errors_seen = 0;  ///< Of the inode's: each is reported once by every handle.
  ReadAhead ahead;

  /// io_error once what this handle's program may have written or locked was lost with the session.
  Result<void> usable() const {
    if (session > inode->lost_session) return {};
    return Error{Errc::io_error, "the session expired while this file had locks or unsynced data"};
  }
  /// The failure behind this handle's back, if it has not reported it yet.
  Result<void> take_error() {
    if (errors_seen == inode->errors || !inode->error) return {};
    errors_seen = inode->errors;
    return *inode->error;
  }
};

}  // namespace chordfs::fs
