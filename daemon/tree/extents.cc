#include "daemon/tree/extents.h"

#include <algorithm>
#include <limits>

#include "daemon/arc/raft/defects.h"
#include "daemon/tree/keys.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/wire/limits.h"

namespace chordfs::tree {

namespace {
constexpr std::uint64_t kForEver = std::numeric_limits<std::uint64_t>::max();
// Value of an extent: length (8), block (24), block offset (4), block length (4), checksum (4).
constexpr std::size_t kExtentBytes = 8 + kBlockIdBytes + 12;

std::uint64_t end_of(const wire::Extent& extent) {
  return extent.offset() + extent.length();
}

std::string encode(const wire::Extent& extent) {
  std::string value;
  value.reserve(kExtentBytes);
  append_u64(value, extent.length());
  value.append(extent.block());
  append_u32(value, extent.block_offset());
  append_u32(value, extent.block_length());
  append_u32(value, extent.block_crc());
  return value;
}

wire::Extent decode(std::string_view key, std::string_view value) {
  CHECK(value.size() == kExtentBytes, "{} bytes", value.size());
  wire::Extent extent;
  extent.set_length(read_u64(value));
  extent.set_offset(extent_end_in(key) - extent.length());
  extent.set_block(std::string(value.substr(8, kBlockIdBytes)));
  value.remove_prefix(8 + kBlockIdBytes);
  extent.set_block_offset(read_u32(value));
  extent.set_block_length(read_u32(value.substr(4)));
  extent.set_block_crc(read_u32(value.substr(8)));
  return extent;
}
}  // namespace

void scan_extents(const Records& records, std::uint64_t ino, std::uint64_t from, std::uint64_t to,
                  const std::function<bool(const wire::Extent&)>& visit) {
  if (from >= to) return;
  // The last key can be the one of an extent that ends far beyond `to`, so only its offset tells when to stop.
  records.scan(extent_key(ino, from + 1), extent_key(ino, kForEver), [&](std::string_view key, std::string_view value) {
    auto extent = decode(key, value);
    return extent.offset() < to && visit(extent);
  });
}

wire::Extent clipped(wire::Extent extent, std::uint64_t from, std::uint64_t to) {
  auto begin = std::max(from, extent.offset());
  auto end = std::min(to, end_of(extent));
  CHECK(begin < end, "[{}, {}) of [{}, {})", from, to, extent.offset(), end_of(extent));
  extent.set_block_offset(extent.block_offset() + static_cast<std::uint32_t>(begin - extent.offset()));
  extent.set_offset(begin);
  extent.set_length(end - begin);
  return extent;
}

void ExtentMap::put(const wire::Extent& extent) {
  cut(extent.offset(), end_of(extent));
  store(extent);
}

void ExtentMap::cut(std::uint64_t from, std::uint64_t to) {
  for (const auto& extent : overlapping(from, to, std::numeric_limits<std::size_t>::max())) {
    remove(extent);
    if (extent.offset() < from) store(clipped(extent, 0, from));
    if (end_of(extent) > to) store(clipped(extent, to, kForEver));
  }
}

bool ExtentMap::remove_some(std::size_t extents_max) {
  auto extents = overlapping(0, kForEver, extents_max);
  for (const auto& extent : extents) remove(extent);
  return overlapping(0, kForEver, 1).empty();
}

void ExtentMap::settle() {
  for (const auto& [block, change] : counts_) {
    auto key = block_key(block);
    auto value = state_.records().get(key);
    auto before = value ? static_cast<std::int64_t>(read_u32(*value)) : 0;
    auto after = before + change;
    CHECK(after >= 0, "block {} of inode {:x}", hex(block), inode_.attr().ino());
    if (after == 0) {
      if (value) state_.records().erase(key);
      state_.discard_block(block);
    } else if (change != 0) {
      std::string count;
      append_u32(count, static_cast<std::uint32_t>(after));
      state_.records().put(key, std::move(count));
      if (change < 0 && planted(Defect::block_deleted_while_named)) state_.discard_block(block);
    }
  }
  counts_.clear();
}

std::vector<wire::Extent> ExtentMap::overlapping(std::uint64_t from, std::uint64_t to, std::size_t extents_max) const {
  std::vector<wire::Extent> extents;
  scan_extents(state_.records(), inode_.attr().ino(), from, to, [&](const wire::Extent& extent) {
    extents.push_back(extent);
    return extents.size() < extents_max;
  });
  return extents;
}

void ExtentMap::store(const wire::Extent& extent) {
  state_.records().put(extent_key(inode_.attr().ino(), end_of(extent)), encode(extent));
  state_.allocate(inode_, static_cast<std::int64_t>(extent.length()));
  ++counts_[extent.block()];
}

void ExtentMap::remove(const wire::Extent& extent) {
  state_.records().erase(extent_key(inode_.attr().ino(), end_of(extent)));
  state_.allocate(inode_, -static_cast<std::int64_t>(extent.length()));
  --counts_[extent.block()];
}

}  // namespace chordfs::tree
