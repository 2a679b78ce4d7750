#pragma once
// RaftDisk: what a node's disk holds of one arc, and what a write of its Raft makes of that, for judges of Raft alone
// (tests/daemon/arc/raft_world.h, explore_members.cc). Pure values. Errors: as text, naming the invariant.
// Also the rule that one committed view follows another by (I8 of replication.md), for those and for ArcWatch.

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "daemon/arc/raft/raft.h"

namespace chordfs {

struct RaftDisk {
  /// Of the records.
  struct Base {
    std::uint64_t index = 0, term = 0, view_index = 0, stable = 0;
    ArcView view;
    /// Where this replica's log begins now.
    static Base of(const Raft& raft);
  };
  bool replica = false;
  Generation generation, highest;
  Raft::HardState hard;
  Base base;
  std::deque<LogEntry> entries;  ///< After the base.

  std::uint64_t last() const { return base.index + entries.size(); }
  std::optional<std::uint64_t> term_at(std::uint64_t index) const;
  /// Durable here, or in the records.
  bool has(std::uint64_t index, std::uint64_t term) const { return index <= base.index || term_at(index) == term; }
  /// Nothing if a view in it cannot be read.
  std::optional<RaftLog> log() const;

  /// A replica that knows nothing; of what stood here only the generation is remembered. (I7)
  std::string create(const Generation& fresh);
  void forget() { *this = {.highest = highest}; }
  /// (I6) `erase` is shown each entry before it is erased; `new_base`: of a snapshot.
  std::string put(const Raft::Write& write, const Base& new_base,
                  const std::function<void(std::uint64_t index, const LogEntry&)>& erase = {});
};

std::size_t hash_of(const LogEntry& entry);

/// What is wrong with this committed view after that one, if anything: joint in between, voters odd, fewer only if one
/// of those that go is `leaving`.
std::string wrong_view(const ArcView& before, const ArcView& next, const std::function<bool(const Uuid&)>& leaving);

}  // namespace chordfs
