#pragma once
// What libfuse calls. Every callback copies what it needs and posts a coroutine of Operations; only what needs no
// state at all is answered on the spot. Runs on the reader threads and never blocks.

#include <atomic>

#include "fuse/mount/inbox.h"
#include "fuse/mount/libfuse.h"
#include "fuse/mount/operations.h"

namespace chordfs::mount {

/// The session's userdata.
struct Target {
  Inbox& inbox;
  Operations& operations;
  std::atomic<bool> initialised = false;  ///< The kernel and libfuse have agreed on the protocol.
};

const fuse_lowlevel_ops& callbacks();

}  // namespace chordfs::mount
