#include "daemon/tree/lock_ranges.h"

#include <algorithm>

namespace chordfs::tree {

namespace {
/// Do they meet or overlap? Written so that nothing overflows at the last byte there is.
bool touch(const LockRange& left, const LockRange& right) {
  return left.start <= right.end + (right.end + 1 != 0) && right.start <= left.end + (left.end + 1 != 0);
}
}  // namespace

void LockRanges::set(const LockRange& change) {
  std::vector<LockRange> result;
  auto added = change;
  const bool locks = change.type != wire::FileLock::NONE;
  for (const auto& range : ranges_) {
    if (locks && range.type == change.type && touch(range, change)) {
      added.start = std::min(added.start, range.start);
      added.end = std::max(added.end, range.end);
      continue;
    }
    if (!overlap(range.start, range.end, change.start, change.end)) {
      result.push_back(range);
      continue;
    }
    if (range.start < change.start) {
      result.push_back(range);
      result.back().end = change.start - 1;
    }
    if (range.end > change.end) {
      result.push_back(range);
      result.back().start = change.end + 1;
    }
  }
  if (locks) {
    auto after = [&](const LockRange& range) { return range.start < added.start; };
    result.insert(std::ranges::partition_point(result, after), added);
  }
  ranges_ = std::move(result);
}

}  // namespace chordfs::tree
