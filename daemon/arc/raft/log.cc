#include "daemon/arc/raft/log.h"

#include "proto/base/check.h"

namespace chordfs {

namespace {
constexpr std::size_t kEntryOverhead = 64;
}

RaftLog::RaftLog(std::uint64_t index, std::uint64_t term, ArcView view, std::uint64_t view_index)
    : base_(index), base_term_(term), views_{{view_index, std::move(view)}} {}

std::optional<std::uint64_t> RaftLog::term_at(std::uint64_t index) const {
  if (index == base_) return base_term_;
  if (index < base_ || index > last()) return std::nullopt;
  return at(index).term;
}

bool RaftLog::append(LogEntry entry) {
  if (entry.kind == EntryKind::view) {
    auto view = view_from(entry.payload);
    if (!view) return false;
    views_.push_back({last() + 1, std::move(*view)});
  }
  bytes_ += entry.payload.size() + kEntryOverhead;
  entries_.push_back(std::move(entry));
  return true;
}

void RaftLog::truncate(std::uint64_t index) {
  CHECK(index > base_, "entries that are in the records cannot be taken back");
  while (last() >= index) {
    bytes_ -= entries_.back().payload.size() + kEntryOverhead;
    entries_.pop_back();
  }
  while (views_.size() > 1 && views_.back().index >= index) views_.pop_back();
}

void RaftLog::cut(std::uint64_t index) {
  CHECK(index <= last());
  while (base_ < index) {
    base_term_ = entries_.front().term;
    bytes_ -= entries_.front().payload.size() + kEntryOverhead;
    entries_.pop_front();
    ++base_;
  }
  while (views_.size() > 1 && views_[1].index <= index) views_.erase(views_.begin());
}

const RaftLog::Made& RaftLog::made_at(std::uint64_t index) const {
  for (auto made = views_.rbegin(); made != views_.rend(); ++made)
    if (made->index <= index) return *made;
  return views_.front();
}

}  // namespace chordfs
