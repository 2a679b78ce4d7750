#include "tools/sim/raft_disk.h"

#include <fmt/format.h>

#include <algorithm>

namespace chordfs {

RaftDisk::Base RaftDisk::Base::of(const Raft& raft) {
  const auto& log = raft.log();
  return {log.base(), log.base_term(), log.view_index_at(log.base()), raft.stable(), log.view_at(log.base())};
}

std::optional<std::uint64_t> RaftDisk::term_at(std::uint64_t index) const {
  if (index == base.index) return base.term;
  if (index < base.index || index > last()) return std::nullopt;
  return entries[index - base.index - 1].term;
}

std::optional<RaftLog> RaftDisk::log() const {
  RaftLog log(base.index, base.term, base.view, base.view_index);
  for (const auto& entry : entries)
    if (!log.append(entry)) return std::nullopt;
  return log;
}

std::string RaftDisk::create(const Generation& fresh) {
  const bool again = fresh <= highest;
  *this = {.replica = true, .generation = fresh, .highest = std::max(fresh, highest)};
  return again ? fmt::format("I7: generation {}.{} stands again where it or a later one stood", fresh.term, fresh.index)
               : std::string();
}

std::string RaftDisk::put(const Raft::Write& write, const Base& new_base,
                          const std::function<void(std::uint64_t, const LogEntry&)>& erase) {
  std::string wrong;
  if (write.hard) {
    const auto& next = *write.hard;
    if (next.term < hard.term || (next.term == hard.term && !hard.vote.empty() && next.vote != hard.vote))
      wrong = fmt::format("I6: term {} after {}", next.term, hard.term);
    hard = next;
  }
  if (write.truncate) {
    const auto kept = std::max(*write.truncate, write.new_base ? new_base.index + 1 : 0);
    if (erase)
      for (auto index = std::max(kept, base.index + 1); index <= last(); ++index)
        erase(index, entries[index - base.index - 1]);
    while (!entries.empty() && last() >= *write.truncate) entries.pop_back();
  }
  if (write.new_base) {
    while (!entries.empty() && base.index < new_base.index) {
      entries.pop_front();
      ++base.index;
    }
    base = new_base;
  }
  auto index = write.first;
  for (const auto& entry : write.entries) {
    if (index != last() + 1) return fmt::format("entry {} is written after {}", index, last());
    entries.push_back(entry);
    ++index;
  }
  return wrong;
}

std::size_t hash_of(const LogEntry& entry) {
  const auto hash = std::hash<std::string_view>()(entry.payload);
  return hash ^ (entry.term * 0x9e3779b97f4a7c15 + static_cast<std::size_t>(entry.kind));
}

std::string wrong_view(const ArcView& before, const ArcView& next, const std::function<bool(const Uuid&)>& leaving) {
  auto same = [](const Replicas& a, const Replicas& b) { return std::ranges::is_permutation(a, b); };
  auto wrong = [&](std::string_view what) {
    return fmt::format("I8: {}: {} after {}", what, next.text(), before.text());
  };
  if (next.voters.size() % 2 == 0 || (next.joint() && next.old_voters.size() % 2 == 0)) return wrong("even");
  if (next.joint() ? !same(next.old_voters, before.voters) || before.joint()
                   : !same(next.voters, before.voters) && !(before.joint() && same(next.voters, before.old_voters)))
    return wrong("no joint view between");
  if (next.joint() && next.voters.size() < next.old_voters.size() &&
      std::ranges::none_of(next.old_voters, [&](const Replica& one) {
        return std::ranges::count(next.voters, one) == 0 && leaving(one.node);
      }))
    return wrong("fewer voters, and nobody leaves");
  return {};
}

}  // namespace chordfs
