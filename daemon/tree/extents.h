#pragma once
// The map of one file: which bytes of it are which bytes of which block. One record per extent, sorted, never
// overlapping: whatever is put or cut trims, splits or removes what it overlaps. Beside it a count per block of the
// extents that name it; a block that is named no more goes to the outbox, to be deleted.
//
// Owner: one step of an operation. Thread: the caller's. Limits: the cost of a change is that of the extents it meets.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "daemon/tree/state.h"

namespace chordfs::tree {

/// Extents that reach into [from, to), whole and in order, until `visit` returns false.
void scan_extents(const Records& records, std::uint64_t ino, std::uint64_t from, std::uint64_t to,
                  const std::function<bool(const wire::Extent&)>& visit);

/// The part of an extent within [from, to), which it overlaps.
wire::Extent clipped(wire::Extent extent, std::uint64_t from, std::uint64_t to);

class ExtentMap {
 public:
  ExtentMap(State& state, wire::Inode& inode) : state_(state), inode_(inode) {}

  /// From now on these bytes are this extent's.
  void put(const wire::Extent& extent);
  /// [from, to) is a hole.
  void cut(std::uint64_t from, std::uint64_t to);
  /// Takes away extents from the front, at most `extents_max`; false if some are left.
  bool remove_some(std::size_t extents_max);
  /// A block that was written for this file but that no extent names after all.
  void mention(const std::string& block) { counts_[block]; }
  /// Writes the counts of blocks and hands over what is named no more. Call once, last.
  void settle();

 private:
  std::vector<wire::Extent> overlapping(std::uint64_t from, std::uint64_t to, std::size_t extents_max) const;
  void store(const wire::Extent& extent);
  void remove(const wire::Extent& extent);

  State& state_;
  wire::Inode& inode_;
  std::map<std::string, std::int64_t> counts_;  ///< By how much the count of each block touched has changed.
};

}  // namespace chordfs::tree
