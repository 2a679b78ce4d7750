#pragma once
// serve(): a FileSystem as a directory, from mounting to unmounting. All of chordfs-mount that does not depend on where
// the FileSystem comes from.

#include <boost/asio/signal_set.hpp>
#include <functional>
#include <string>
#include <vector>

#include "fuse/fs/filesystem.h"
#include "fuse/mount/exit.h"
#include "proto/base/runtime.h"

namespace chordfs::mount {

/// Mounts on `path` and serves until somebody unmounts it or one of `signals` comes; then unmounts it. `serving` is
/// called once, when the first call would be answered. FileSystem must be started, and stopped by the caller after.
/// `signals` should outlive FileSystem::stop(), so that a second signal does not cut it short.
awaitable<Problem> serve(Runtime& runtime, FileSystem& files, asio::signal_set& signals, std::string path,
                         std::vector<std::string> options, std::function<void()> serving);

}  // namespace chordfs::mount
