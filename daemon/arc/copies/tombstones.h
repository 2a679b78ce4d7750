#pragma once
// Tombstones: blocks that were dropped a short while ago, so that a late duplicate of a put, or a copy fetched from a
// member that has not heard of it, does not bring them back at once. Forgotten in a crash: then daemon/node/garbage.h
// finds what came back.
// Pure: the caller says what time it is. Thread: the owner's.
// Limits: kTombstonesMax; beyond that the oldest are forgotten.

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "proto/base/runtime.h"
#include "proto/id/id.h"

namespace chordfs {

inline constexpr Duration kTombstoneTime = 10min;
inline constexpr std::size_t kTombstonesMax = 200'000;

class Tombstones {
 public:
  void add(ArcNumber arc, const std::string& block, Time now);
  bool has(ArcNumber arc, const std::string& block, Time now) const;

 private:
  using Block = std::pair<ArcNumber, std::string>;
  void forget_old(Time now);

  std::map<Block, Time> dropped_;  ///< Until when, as it was said last.
  std::deque<std::pair<Time, Block>> order_;
};

}  // namespace chordfs
