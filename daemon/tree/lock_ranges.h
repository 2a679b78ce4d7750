#pragma once
// LockRanges: which bytes of one file one owner has locked, and how: what POSIX says of fcntl(2)'s locks. A new lock
// takes the place of what the owner had on those bytes, and so may split, shorten or join what lies beside it.
// Pure. Owner: one operation. Thread: the caller's.
// Invariants: sorted by start, no byte twice, and no two that meet are of one type.

#include <cstdint>
#include <vector>

#include "proto/wire/tree.pb.h"

namespace chordfs::tree {

struct LockRange {
  std::uint64_t start = 0;
  std::uint64_t end = 0;  ///< The last byte.
  wire::FileLock::Type type = wire::FileLock::SHARED;
  std::uint32_t pid = 0;

  friend bool operator==(const LockRange&, const LockRange&) = default;
};

inline bool overlap(std::uint64_t start, std::uint64_t end, std::uint64_t other_start, std::uint64_t other_end) {
  return start <= other_end && other_start <= end;
}

class LockRanges {
 public:
  LockRanges() = default;
  /// As all() once gave them.
  explicit LockRanges(std::vector<LockRange> ranges) : ranges_(std::move(ranges)) {}

  /// `change.type` NONE: unlocked.
  void set(const LockRange& change);
  const std::vector<LockRange>& all() const { return ranges_; }

 private:
  std::vector<LockRange> ranges_;
};

}  // namespace chordfs::tree
