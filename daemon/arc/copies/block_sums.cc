#include "daemon/arc/copies/block_sums.h"

#include "proto/base/bytes.h"

namespace chordfs {

namespace {
/// The finalizer of splitmix64 (Steele, Lea, Flood 2014).
std::uint64_t mix(std::uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

std::uint64_t hash_of(std::string_view id) {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  return mix(read_u64(id) + mix(read_u64(id.substr(8)) + mix(read_u64(id.substr(16)) + kGolden)));
}
}  // namespace

std::size_t bucket_of(std::string_view id) {
  return hash_of(id) >> 56;
}

BlockSums::BlockSums(const std::vector<BlockStore::Held>& held) {
  for (const auto& block : held) {
    auto bucket = bucket_of(block.id);
    sums[bucket] += mix(hash_of(block.id) ^ mix(block.length));
    bytes[bucket] += block.length;
  }
}

void write(const BlockSums& from, wire::BlockSums& to) {
  to.mutable_sums()->Add(from.sums.begin(), from.sums.end());
  to.mutable_bytes()->Add(from.bytes.begin(), from.bytes.end());
}

Result<std::vector<std::uint32_t>> differing(const BlockSums& ours, const wire::BlockSums& theirs) {
  if (theirs.sums_size() != kBuckets || theirs.bytes_size() != kBuckets)
    return {Errc::bad_message, "sums of blocks that are not 256"};
  std::vector<std::uint32_t> buckets;
  for (std::uint32_t bucket = 0; bucket < kBuckets; ++bucket)
    if (ours.sums[bucket] != theirs.sums(static_cast<int>(bucket))) buckets.push_back(bucket);
  return buckets;
}

}  // namespace chordfs
