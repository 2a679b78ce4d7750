#pragma once
// What a step of a transaction touches. Pure; any thread.

#include <cstdint>

#include "proto/wire/tree.pb.h"

namespace chordfs {

/// The inode whose attributes, contents or entries the step changes, or makes; 0: none.
std::uint64_t changed_inode(const wire::Step& step);

}  // namespace chordfs
