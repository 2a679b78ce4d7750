// RaftWorld: what must hold after every step (replication.md 5: I1 to I10, I30).
#include <fmt/format.h>

#include <algorithm>

#include "daemon/arc/raft/defects.h"
#include "tests/daemon/arc/raft_world.h"

namespace chordfs {

namespace {
constexpr std::uint64_t kMessagesPerSecondMax = 6000;
}  // namespace

void RaftWorld::check(Node& node) {
  const auto& raft = *node.raft;
  if (raft.fault()) return fail("I5: " + *raft.fault());
  if (raft.leads()) {
    const std::pair key{node.uuid, raft.self().generation};
    auto [found, fresh] = leaders_.try_emplace(raft.term(), key);
    if (found->second != key) return fail(fmt::format("I1: two leaders of term {}", raft.term()));
    if (fresh) {
      ++numbers_.elections;
      note(fmt::format("leads {} term {} {}", node.number, raft.term(), raft.view().text()));
      node.changes_from =
          now_ +
          Duration(static_cast<std::int64_t>(static_cast<double>(raft.lease_wait() * kTick.count()) / node.rate));
    }
    if (!node.was_leader) hunt(node);
  }
  node.was_leader = raft.leads();
  check_leases(node);
}

/// I26, as far as the core has a part in it: nobody changes anything while what another has leased may still be read.
/// All lease whenever they may, as daemon/node/leases.h does it.
void RaftWorld::check_leases(Node& node) {
  // Five eighths of what voters count before they vote, by a clock that runs at 0.8.
  constexpr auto kLease = 5 * kTick * 5 / 4;
  auto& raft = *node.raft;
  if (!raft.leads()) {
    node.lease.reset();
    return;
  }
  if (node.lease && raft.confirmed_round() >= node.lease->second) {
    node.leased_until = std::max(node.leased_until, node.lease->first + kLease);
    node.leased_in = raft.term();
    node.lease.reset();
  }
  // Not more often than mounts do: each is a round.
  if (!node.lease && leases_ && now_ >= node.lease_next && raft.lease()) {
    node.lease = {now_, raft.request_round()};
    node.lease_next = now_ + 2 * kTick;
  }
  if (!raft.ready() || now_ < node.changes_from) return;
  for (const auto& other : nodes_)
    if (other->leased_in < raft.term() && other->leased_until > now_)
      return fail(fmt::format("I26: {} leads term {} and may change what {} has leased for {} ms more", node.number,
                              raft.term(), other->number, (other->leased_until - now_) / 1ms));
}

void RaftWorld::check_commits(Node& node) {
  const auto& raft = *node.raft;
  const auto& log = raft.log();
  if (raft.commit() <= node.checked_commit) return;
  if (raft.leads()) {
    // I3: durable on a majority of each set in force, as the disks have it.
    const auto index = raft.commit();
    const auto term = log.term_at(index).value_or(0);
    // Raft, figure 8: what is counted is of the leader's own term.
    if (term != raft.term())
      return fail(fmt::format("I3: {} commits {} of term {} by counting", node.number, index, term));
    if (relaxed()) {
      const auto stable = raft.stable(), of = log.term_at(stable).value_or(0);
      if (of != 0 && !majority(raft.view(), [&](const Replica& one) { return synced_on(one, stable, of); }))
        return fail(fmt::format("I3: {} of term {} is stable for {}, and not synced in {}", stable, of, node.number,
                                raft.view().text()));
    } else if (!majority(raft.view(), [&](const Replica& one) { return on_disk(one, index, term); }))
      return fail(fmt::format("I3: {} of term {} is committed by {}, and not durable in {}", index, term, node.number,
                              raft.view().text()));
  }
  for (auto index = std::max(node.checked_commit, log.base()) + 1; index <= raft.commit() && !violation_; ++index) {
    const auto& entry = log.at(index);
    const bool another = forgets() && index < committed_.size() && committed_[index].term != entry.term;
    // It was away when the others lost this and went on; it knows that it is not stable, and will hear of it.
    if (another && committed_[index].term > entry.term && index > raft.stable()) {
      node.lost_branch = true;
      break;
    }
    if (another && index > stable_) {
      note(fmt::format("{} to {} are lost", index, committed_.size() - 1));
      ++numbers_.lost;
      committed_.resize(index);
    }
    if (node.lost_branch) break;
    if (index < committed_.size()) {
      if (committed_[index].term != entry.term || committed_[index].entry_hash != hash_of(entry))
        return fail(fmt::format("I2: {} commits another entry {}: term {}, and was {}", node.number, index, entry.term,
                                committed_[index].term));
      continue;
    }
    if (index != committed_.size()) return fail(fmt::format("a gap before the committed entry {}", index));
    committed_.push_back({entry.term, hash_of(entry), std::nullopt});
    if (!may_be_late(entry.kind) || !relaxed()) stable_ = index;
    if (entry.kind == EntryKind::view) check_view(log.view_at(index), index);
  }
  node.checked_commit = raft.commit();
}

void RaftWorld::check_view(const ArcView& next, std::uint64_t index) {
  ++numbers_.views;
  note(fmt::format("view {} {}", index, next.text()));
  const auto wrong = wrong_view(committed_view_, next, [this](const Uuid& one) { return find(one)->leaving; });
  if (!wrong.empty()) return fail(wrong);
  committed_view_ = next;
}

void RaftWorld::check_sent(Node& node, const Raft::Outgoing& out) {
  const auto& message = out.message;
  using wire::RaftMessage;
  const auto second = static_cast<std::uint64_t>((now_ - Time()) / 1s);
  if (second != window_) window_ = second, window_messages_ = 0;
  if (++window_messages_ > kMessagesPerSecondMax) return fail("I30: a storm of messages");
  const bool promise =
      message.kind() == RaftMessage::PRE_VOTE || (message.kind() == RaftMessage::PRE_VOTE_REPLY && !message.reject());
  if (!promise) node.promised_term = std::max(node.promised_term, message.term());
  if (message.kind() == RaftMessage::APPEND || message.kind() == RaftMessage::SNAPSHOT) {
    if (out.to.generation.index >= committed_.size())
      fail(fmt::format("I10: {} speaks to {} of an entry that is not committed", node.number, out.to.generation.index));
  }
  // I5: what is acknowledged is on the disk, and it is what the log holds (not an entry that was since overwritten).
  if (message.kind() != RaftMessage::APPEND_REPLY || message.reject() || message.term() != node.raft->term()) return;
  const auto index = message.log_index();
  if (index > node.disk.last())
    return fail(fmt::format("I5: node {} acknowledges {}, and has {}", node.number, index, node.disk.last()));
  const auto here = node.raft->log().term_at(index), there = node.disk.term_at(index);
  if (here && there && here != there)
    fail(fmt::format("I5: node {} acknowledges {} of term {}, and has term {}", node.number, index, *here, *there));
}

/// I5: nothing committed is erased from a disk.
void RaftWorld::check_erased(Node& node, std::uint64_t index, const LogEntry& entry) {
  if (index >= committed_.size() || (forgets() && index > stable_)) return;
  if (committed_[index].entry_hash == hash_of(entry))
    fail(fmt::format("I5: node {} erases the committed entry {}", node.number, index));
}

bool RaftWorld::synced_on(const Replica& replica, std::uint64_t index, std::uint64_t term) const {
  const auto* node = find(replica.node);
  if (node == nullptr || !node->synced.replica || node->synced.generation != replica.generation) return false;
  return node->synced.has(index, term);
}

bool RaftWorld::on_disk(const Replica& replica, std::uint64_t index, std::uint64_t term) const {
  const auto* node = find(replica.node);
  if (node == nullptr || !node->disk.replica || node->disk.generation != replica.generation) return false;
  return node->disk.has(index, term);
}

}  // namespace chordfs
