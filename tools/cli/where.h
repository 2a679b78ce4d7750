#pragma once
// Where: which path of which ring a person means. Thread: main's. Errors: none; what cannot be told is left empty.

#include <string>

#include "tools/cli/subcommand.h"

namespace chordfs::cli {

/// A path as a person types it: inside a mounted ring (then relative to its root, and `via` is that mount's), or a path
/// of the ring itself.
struct Where {
  std::string path;  ///< Absolute, from the root of the ring.
  std::string via;   ///< Empty unless the path lies in a mount that tells it.
};
Where where(const std::string& typed);
/// The path of `typed`; its mount's nodes become `shared.via` unless some were named.
std::string path_of(const std::string& typed, Shared& shared);

}  // namespace chordfs::cli
