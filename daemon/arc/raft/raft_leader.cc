// Raft: what a leader does: spreads its log, commits, confirms that it leads, changes views, hands over.
#include <algorithm>

#include "daemon/arc/raft/defects.h"
#include "daemon/arc/raft/raft.h"

namespace chordfs {

namespace {
constexpr std::size_t kAppendBytesMax = 1U << 20;
constexpr std::size_t kAppendEntriesMax = 512;
constexpr std::size_t kInFlightMax = 4U << 20;
/// Between two offers of leadership, in election timeouts.
constexpr int kOfferPauseMax = 5;
}  // namespace

Raft::Progress& Raft::progress_of(const Replica& member) {
  auto [found, fresh] = progress_.try_emplace(key(member));
  if (fresh) found->second.next = log_.last() + 1;
  return found->second;
}

const Raft::Progress* Raft::progress(const Replica& member) const {
  auto found = progress_.find(key(member));
  return found == progress_.end() ? nullptr : &found->second;
}

bool Raft::live(const Replica& member) const {
  if (member == self_) return true;
  const auto* known = progress(member);
  return known != nullptr && known->silent < kLiveTicks;
}

bool Raft::heard_majority() const {
  return leads() && majority(view(), [this](const Replica& voter) {
           if (voter == self_) return true;
           const auto* known = progress(voter);
           return known != nullptr && known->silent <= 2 * options_.heartbeat + 1;
         });
}

/// A member is spoken to once the entry that added it is committed: until then that may come to nothing (finding 9).
/// After a restart commit_ may lag behind what is: but a later view was only appended because that entry was committed.
bool Raft::may_contact(const Replica& member) const {
  const auto added = member.generation.index;
  return member.node != self_.node && (added <= commit_ || added < log_.view_index() || planted(Defect::early_contact));
}

void Raft::tick_leader() {
  for (auto& [member, progress] : progress_) ++progress.silent;
  if (options_.relaxed && !transfer_) {
    // What has waited for a tick waits no longer.
    if (log_.last() > log_.base() && may_be_late(log_.at(log_.last()).kind)) propose_sync();
  }
  if (transfer_rest_ > 0) --transfer_rest_;
  if (lease_pause_ > 0) --lease_pause_;
  if (transfer_ && ++transfer_ticks_ > options_.election) {
    // Whoever cannot take it now would keep clients waiting at every further offer.
    transfer_.reset();
    transfer_rest_ = transfer_pause_;
    transfer_pause_ = std::min(2 * transfer_pause_, kOfferPauseMax * options_.election);
  }
  if (++since_check_ >= options_.election) {
    since_check_ = 0;
    // Check-quorum: one that nobody follows does not lead.
    auto heard = [&](const Replica& voter) {
      if (voter == self_) return true;
      const auto* known = progress(voter);
      return known != nullptr && known->silent <= options_.election;
    };
    if (!majority(view(), heard)) return become_follower(hard_.term, std::nullopt);
  }
  if (++since_heartbeat_ >= options_.heartbeat) {
    since_heartbeat_ = 0;
    if (rounds_wanted_ > rounds_started_) ++rounds_started_;
    broadcast(true);
  }
}

bool Raft::lease() {
  if (!ready() || transfer_ || lease_pause_ > 0) return false;
  leasing_ = true;
  since_leases_ = 0;
  return true;
}

std::uint64_t Raft::request_round() {
  rounds_wanted_ = rounds_started_ + 1;
  return rounds_wanted_;
}

std::uint64_t Raft::confirmed_round() const {
  if (!leads()) return 0;
  return reached_by_majority(view(), [&](const Replica& voter) {
    if (voter == self_) return rounds_wanted_;
    const auto* known = progress(voter);
    return known == nullptr ? 0 : known->round;
  });
}

void Raft::broadcast(bool heartbeat) {
  bool round = false;
  // A round at a time: reads that come while one is under way share the next.
  if (rounds_wanted_ > rounds_started_ && confirmed_round() >= rounds_started_) {
    ++rounds_started_;
    round = true;
  }
  // Not everybody(), which copies: this comes with every flush.
  auto speak = [&](const Replica& member) {
    if (may_contact(member)) send_append(member, progress_of(member), heartbeat || round);
  };
  std::ranges::for_each(view().voters, speak);
  for (const auto& old : view().old_voters)
    if (std::ranges::count(view().voters, old) == 0) speak(old);
  std::ranges::for_each(view().learners, speak);
}

void Raft::send_append(const Replica& to, Progress& progress, bool heartbeat) {
  wire::RaftMessage message;
  message.set_kind(wire::RaftMessage::APPEND);
  message.set_commit(commit_);
  message.set_round(rounds_started_);
  message.set_leasing(leasing_);
  const auto previous = progress.next - 1;
  const auto previous_term = log_.term_at(previous);
  if (!previous_term) {
    progress.snapshot = true;
    if (!heartbeat) return;
    const auto index = log_.base();
    message.set_kind(wire::RaftMessage::SNAPSHOT);
    message.set_log_index(index);
    message.set_log_term(log_.base_term());
    return send(to, std::move(message));
  }
  progress.snapshot = false;
  message.set_log_index(previous);
  message.set_log_term(*previous_term);
  const bool paused = progress.probing ? progress.waiting && !heartbeat : progress.in_flight >= kInFlightMax;
  std::size_t bytes = 0;
  // A learner gets what is committed and no more. Had it an entry that no voter left alive has, it would refuse its
  // vote to all of them, once some joint view, appended by a leader before and not committed, asks for it.
  const auto upto = view().votes(to) ? log_.last() : commit_;
  // While its log's end is not known an empty message finds it out as well.
  if (!paused && !progress.probing)
    while (progress.next <= upto && bytes < kAppendBytesMax &&
           static_cast<std::size_t>(message.entries_size()) < kAppendEntriesMax) {
      const auto& entry = log_.at(progress.next++);
      auto& sent = *message.add_entries();
      sent.set_term(entry.term);
      sent.set_kind(static_cast<std::uint32_t>(entry.kind));
      sent.set_payload(entry.payload);
      bytes += entry.payload.size();
    }
  if (message.entries_size() == 0 && !heartbeat && (paused || !progress.probing)) return;
  if (message.entries_size() > 0) {
    progress.in_flight += bytes;
    progress.sent.emplace_back(progress.next - 1, bytes);
  }
  if (progress.probing) progress.waiting = true;
  send(to, std::move(message));
}

void Raft::on_append_reply(const Replica& from, const wire::RaftMessage& message) {
  if (!leads() || !view().has(from)) return;
  auto& progress = progress_of(from);
  progress.silent = 0;
  progress.round = std::max(progress.round, std::min(message.round(), rounds_started_));
  if (message.log_index() > log_.last()) return;
  if (message.reject()) {
    // Old news if it refuses something else than what was sent last, or what has been acknowledged since.
    const auto refused = message.log_term();
    if (refused <= progress.match || (progress.probing && refused != progress.next - 1)) return;
    progress.next = std::max(progress.match + 1, std::min(message.log_index() + 1, refused));
    progress.probing = true;
    progress.waiting = false;  // Only now: one message for one answer, or duplicates would breed (finding 3).
    progress.in_flight = 0;
    progress.sent.clear();
    return;
  }
  const auto index = message.log_index();
  if (index > progress.match) progress.match = index;
  while (!progress.sent.empty() && progress.sent.front().first <= progress.match) {
    progress.in_flight -= progress.sent.front().second;
    progress.sent.pop_front();
  }
  if (progress.match + 1 > progress.next) progress.next = progress.match + 1;
  // It took what followed `next`, so the logs agree up to there.
  if (progress.probing && progress.next >= log_.base() + 1) progress.probing = progress.waiting = false;
  advance_commit();
  if (transfer_ && *transfer_ == from.node) transfer(from.node);
}

void Raft::advance_commit() {
  const auto reached = reached_by_majority(view(), [&](const Replica& voter) -> std::uint64_t {
    if (voter == self_) return durable_;
    const auto* known = progress(voter);
    return known == nullptr ? 0 : known->match;
  });
  if (reached <= commit_) return;
  // Only an entry of our own term commits by counting; those before it with it (Raft, figure 8).
  if (log_.term_at(reached) != hard_.term && !planted(Defect::old_term_counted)) return;
  commit_up_to(reached);
  since_heartbeat_ = options_.heartbeat;  // Followers learn of it with the next tick at the latest.
  step_down_if_removed();
}

bool Raft::propose_view(ArcView next) {
  if (!ready() || transfer_ || fault_) return false;
  const bool takes_back = view().joint() && next.voters == view().old_voters && !next.joint();
  if (!view_committed() && !takes_back && !planted(Defect::append_before_joint_commits)) return false;
  const Generation fresh{hard_.term, log_.last() + 1};
  for (auto* set : {&next.voters, &next.old_voters, &next.learners})
    for (auto& member : *set)
      if (member.generation == Generation())
        member.generation = planted(Defect::generation_reused) ? Generation{1, 2} : fresh;
  std::string payload;
  const auto encoded = to_wire(next);
  if (!view_from(encoded)) return false;
  encoded.SerializeToString(&payload);
  append({.term = hard_.term, .kind = EntryKind::view, .payload = std::move(payload)});
  std::erase_if(progress_, [&](const auto& member) {
    return !view().has({.node = member.first.first, .at = {}, .generation = member.first.second});
  });
  return true;
}

bool Raft::transfer(const Uuid& to) {
  const auto* member = find_replica(view().voters, to);
  if (!leads() || member == nullptr || to == self_.node) return false;
  const auto* known = progress(*member);
  if (known == nullptr || !live(*member)) return false;
  if (!transfer_) {
    // Clients wait from here on, for about two round trips: not before it is nearly there.
    if (transfer_rest_ > 0 || known->match + 1 < commit_ || known->probing) return false;
    // Nor before the leases have run out: the next leader would have to wait for that before it changes anything.
    lease_pause_ = 2 * kLeaseTicks;
    if (since_leases_ < kLeaseTicks) return false;
    transfer_ = to;
    transfer_ticks_ = 0;
  }
  if (*transfer_ != to || known->match != log_.last()) return false;
  wire::RaftMessage now;
  now.set_kind(wire::RaftMessage::TIMEOUT_NOW);
  send(*member, std::move(now));
  return true;
}

void Raft::tell_gone(const Replica& to) {
  wire::RaftMessage gone;
  gone.set_kind(wire::RaftMessage::GONE);
  send(to, std::move(gone));
}

/// A leader that the committed view excludes has done its work; the best of those that stay is told to go on.
void Raft::step_down_if_removed() {
  if (!view_committed() || view().votes(self_)) return;
  const Replica* best = nullptr;
  for (const auto& voter : view().voters) {
    const auto* known = progress(voter);
    if (known != nullptr && (best == nullptr || known->match > progress(*best)->match)) best = &voter;
  }
  broadcast(true);
  if (best != nullptr) {
    wire::RaftMessage now;
    now.set_kind(wire::RaftMessage::TIMEOUT_NOW);
    send(*best, std::move(now));
  }
  become_follower(hard_.term, std::nullopt);
}

}  // namespace chordfs
