#pragma once
// What files are called below a name.

#include <cstdint>

namespace chordfs {

using Ino = std::uint64_t;
using Handle = std::uint64_t;  ///< Of something open.

}  // namespace chordfs
