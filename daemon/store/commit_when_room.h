#pragma once
// A commit that must happen: while the disk is full it is tried again, and what else fails is the end of this node.

#include <functional>

#include "daemon/store/disk.h"

namespace chordfs {

/// `full` is told each time that there is no room; `fatal` of any other failure but `cancelled`, which is returned too.
awaitable<Result<void>> commit_when_room(
    Runtime& runtime, Disk& disk, Batch batch, Sync sync, std::function<void(Error)> fatal,
    std::function<void(const Error&)> full = [](const Error&) {});

}  // namespace chordfs
