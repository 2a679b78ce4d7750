#pragma once
// CacheSizes: what each part of one FileSystem may take of the memory that it is given (--cache-size). Pure.
//
// What is not here is in proportion to what programs hold open: an inode's state, a handle, a page of each listing.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "fuse/fs/filesystem.h"
#include "fuse/fs/read_ahead.h"

namespace chordfs::fs {

struct CacheSizes {
  explicit CacheSizes(std::uint64_t all);

  std::uint64_t dirty_bytes;                 ///< Written and not committed; then writers wait.
  std::uint64_t commit_bytes;                ///< Of one file: that much is committed at once.
  std::size_t blocks_queued;                 ///< Of dirty ones, on their way or waiting for a place.
  std::size_t block_bytes;                   ///< Blocks that were read.
  std::size_t fetches;                       ///< Blocks that are on their way here.
  std::uint64_t ahead_bytes;                 ///< How far one handle is read ahead of.
  std::size_t answer_bytes;                  ///< What arcs answered and leased.
  std::size_t map_bytes;                     ///< Where the blocks of open files are.
  std::size_t names, versions, directories;  ///< How many are remembered.
};

/// What one of these costs, by measurement: the entry, its place in the order, names of 20 to 255 bytes.
inline constexpr std::size_t kNameCost = 700;
inline constexpr std::size_t kVersionCost = 150;
inline constexpr std::size_t kDirectoryCost = 220;
inline constexpr std::size_t kExtentCost = 260;
inline constexpr std::size_t kPieceCost = 400;
inline constexpr std::size_t kFetchesMax = 16;
inline constexpr std::size_t kBlocksQueuedMax = 256;

inline CacheSizes::CacheSizes(std::uint64_t all) {
  all = std::max(all, kCacheBytesMin);
  const auto share = [all](std::uint64_t of_32) { return all / 32 * of_32; };
  dirty_bytes = share(16);
  block_bytes = share(10);
  answer_bytes = share(2);
  map_bytes = share(1);
  names = share(1) / kNameCost;
  versions = share(1) / kVersionCost;
  directories = share(1) / 2 / kDirectoryCost;
  commit_bytes = dirty_bytes / 2;
  blocks_queued = std::clamp<std::size_t>(dirty_bytes >> 20, 8, kBlocksQueuedMax);
  // Twice this many of 4 MiB each, once for readers and once ahead of them, come on top of what is kept.
  fetches = std::clamp<std::size_t>(block_bytes / (std::size_t{6} << 20), 2, kFetchesMax);
  // Else what was fetched ahead would be gone before it is read.
  ahead_bytes = std::clamp<std::uint64_t>(block_bytes / 3, kReadAheadBytesFirst, kReadAheadBytesMax);
}

}  // namespace chordfs::fs
