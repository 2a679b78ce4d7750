#pragma once
// Sums over the blocks of an arc, by which two nodes find what one of them lacks at a cost that follows the difference.
// Pure; any thread. The hashes cross the wire: changing them is a change of protocol.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "daemon/store/block_store.h"
#include "proto/wire/arc.pb.h"

namespace chordfs {

inline constexpr std::size_t kBuckets = 256;

/// Which of the kBuckets a block counts in. `id`: kBlockIdBytes.
std::size_t bucket_of(std::string_view id);

struct BlockSums {
  std::array<std::uint64_t, kBuckets> sums{};   ///< Of hashes of (identifier, length): in any order.
  std::array<std::uint64_t, kBuckets> bytes{};  ///< Of blocks.

  explicit BlockSums(const std::vector<BlockStore::Held>& held);
};

void write(const BlockSums& from, wire::BlockSums& to);
/// The buckets in which `theirs` differs; bad_message if it has not kBuckets of them.
Result<std::vector<std::uint32_t>> differing(const BlockSums& ours, const wire::BlockSums& theirs);

}  // namespace chordfs
