#pragma once
// RaftLog: the entries of one arc that are not yet only in its records, in memory, and the view in force at each of
// them. What is on disk is the owner's affair (LogWriter). Pure; thread: the Runtime's.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "daemon/arc/raft/view.h"

namespace chordfs {

/// Stands in the log record's `kind` (daemon/store/FORMAT.md): never reuse a number.
enum class EntryKind : std::uint8_t {
  operation = 0,  ///< Of the state machine.
  nothing = 1,    ///< A new leader's first: commits what its predecessors left.
  view = 2,       ///< wire::View.
  synced = 3,     ///< Of the state machine, too: everything that other arcs or the outside rest upon.
};

inline bool is_operation(EntryKind kind) {
  return kind == EntryKind::operation || kind == EntryKind::synced;
}
/// In a relaxed ring these alone may be acknowledged before they are synced; any other is synced, with all before it.
inline bool may_be_late(EntryKind kind) {
  return kind == EntryKind::operation;
}

struct LogEntry {
  std::uint64_t term = 0;
  EntryKind kind = EntryKind::operation;
  std::string payload;
};

class RaftLog {
 public:
  /// Entries up to (index, term) are in the records; `view` is in force there, made by the entry `view_index`.
  RaftLog(std::uint64_t index, std::uint64_t term, ArcView view, std::uint64_t view_index);

  std::uint64_t base() const { return base_; }
  std::uint64_t base_term() const { return base_term_; }
  std::uint64_t last() const { return base_ + entries_.size(); }
  std::uint64_t last_term() const { return entries_.empty() ? base_term_ : entries_.back().term; }
  /// Nothing if the entry is cut away or does not exist yet.
  std::optional<std::uint64_t> term_at(std::uint64_t index) const;
  bool matches(std::uint64_t index, std::uint64_t term) const { return term_at(index) == term; }
  /// base() < index ≤ last().
  const LogEntry& at(std::uint64_t index) const { return entries_[index - base_ - 1]; }
  std::size_t bytes() const { return bytes_; }
  std::size_t size() const { return entries_.size(); }

  /// False if it is a view that cannot be read; then nothing was appended.
  bool append(LogEntry entry);
  /// Drops the entries from `index` on.
  void truncate(std::uint64_t index);
  /// Forgets the entries up to `index`, which are in the records.
  void cut(std::uint64_t index);

  /// In force: that of the last entry of kind view, committed or not.
  const ArcView& view() const { return views_.back().view; }
  std::uint64_t view_index() const { return views_.back().index; }
  /// In force at `index` ≥ base().
  const ArcView& view_at(std::uint64_t index) const { return made_at(index).view; }
  std::uint64_t view_index_at(std::uint64_t index) const { return made_at(index).index; }
  /// The one before view(), if that is still remembered.
  const ArcView* view_before() const { return views_.size() < 2 ? nullptr : &views_[views_.size() - 2].view; }

 private:
  struct Made {
    std::uint64_t index;
    ArcView view;
  };
  const Made& made_at(std::uint64_t index) const;

  std::uint64_t base_, base_term_;
  std::deque<LogEntry> entries_;
  std::size_t bytes_ = 0;
  std::vector<Made> views_;  ///< By index; the first is in force at the base.
};

}  // namespace chordfs
