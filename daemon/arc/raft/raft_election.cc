// Raft: who may lead, and how one is chosen.
#include <algorithm>
#include <utility>

#include "daemon/arc/raft/defects.h"
#include "daemon/arc/raft/raft.h"

namespace chordfs {

namespace {
/// Others hear of a death a little sooner or later, and refuse a pre-vote until they have.
constexpr int kHurryTicks = 2;
constexpr int kHurriesMax = 3;
constexpr int kMourningTicks = 2 * kHurryTicks;
}  // namespace

/// A voter; or one that only an uncommitted view excludes: it may be the only one that has all (finding 7).
bool Raft::electable() const {
  if (passive_ || gone_ || fault_) return false;
  if (view().votes(self_)) return true;
  if (planted(Defect::removed_may_not_campaign)) return false;
  return !view_committed() && log_.view_before() != nullptr && log_.view_before()->votes(self_);
}

/// Voters that are asked to try before this one: those clockwise before it, but for one that is said to be dead.
int Raft::rank() const {
  int rank = 0;
  for (const auto& voter : view().voters) {
    if (voter.node == self_.node) break;
    rank += !mourned_ || voter.node != mourned_->node;
  }
  return rank;
}

void Raft::died(const Uuid& node) {
  if (gone_ || fault_ || leads() || !leader_ || leader_->node != node) return;
  mourned_ = std::exchange(leader_, std::nullopt);
  mourning_ = kMourningTicks;
  hurries_ = kHurriesMax;
  if (!electable()) return;
  if (rank() == 0) return campaign(true, false);
  silence_ = std::max(silence_, timeout_ - kHurryTicks * rank());
}

void Raft::tick_follower() {
  ++silence_;
  ++leaderless_;
  if (mourning_ > 0 && --mourning_ == 0) mourned_.reset();
  if (silence_ >= options_.election && leader_) leader_.reset();
  if (electable()) {
    const auto& voters = view().voters;
    const bool alone = voters.size() == 1 && !view().joint() && voters.front() == self_;
    if (alone && role_ != Role::candidate) return campaign(false, false);
    if (silence_ >= timeout_) return campaign(true, false);
  } else if (leaderless_ >= 2 * options_.election && ++since_knock_ >= options_.election) {
    since_knock_ = 0;
    wire::RaftMessage knock;
    knock.set_kind(wire::RaftMessage::KNOCK);
    for (const auto& member : view().everybody())
      if (member.node != self_.node) send(member, knock);
  }
}

void Raft::campaign(bool pre, bool transfer) {
  reset_timer();
  if (pre && hurries_ > 0) {
    --hurries_;
    silence_ = timeout_ - kHurryTicks;
  }
  leader_.reset();
  votes_.clear();
  doubtful_.clear();
  role_ = pre ? Role::pre_candidate : Role::candidate;
  if (!pre) set_hard(hard_.term + 1, self_.node);
  wire::RaftMessage ask;
  ask.set_kind(pre ? wire::RaftMessage::PRE_VOTE : wire::RaftMessage::VOTE);
  ask.set_term(pre ? hard_.term + 1 : hard_.term);
  ask.set_log_index(log_.last());
  ask.set_log_term(log_.last_term());
  ask.set_transfer(transfer);
  for (const auto& voter : view().all_voters())
    if (voter.node != self_.node) send(voter, ask);
  count_votes();
}

bool Raft::up_to_date(const wire::RaftMessage& message) const {
  return std::pair(message.log_term(), message.log_index()) >= std::pair(log_.last_term(), log_.last());
}

void Raft::on_pre_vote(const Replica& from, const wire::RaftMessage& message) {
  wire::RaftMessage reply;
  reply.set_kind(wire::RaftMessage::PRE_VOTE_REPLY);
  const bool grant =
      message.term() > hard_.term && up_to_date(message) && !leads() && (!heard_leader() || message.transfer());
  reply.set_reject(!grant);
  // A refusal teaches our term: else two that each lack what the other has could ask for ever (finding 4).
  reply.set_term(grant ? message.term() : hard_.term);
  send(from, std::move(reply));
}

void Raft::on_vote(const Replica& from, const wire::RaftMessage& message) {
  wire::RaftMessage reply;
  reply.set_kind(wire::RaftMessage::VOTE_REPLY);
  const bool grant = !leads() && !leader_ && (hard_.vote.empty() || hard_.vote == from.node) && up_to_date(message);
  if (grant) {
    if (hard_.vote.empty()) set_hard(hard_.term, from.node);
    role_ = Role::follower;
    reset_timer();
  }
  reply.set_reject(!grant);
  reply.set_since_leases(static_cast<std::uint32_t>(since_leases_));
  send(from, std::move(reply));
}

void Raft::on_vote_reply(const Replica& from, const wire::RaftMessage& message, bool pre) {
  if (role_ != (pre ? Role::pre_candidate : Role::candidate)) return;
  if (message.doubtful()) doubtful_.insert(key(from));
  if (message.reject() || message.term() != hard_.term + (pre ? 1 : 0)) return;
  votes_[key(from)] = static_cast<int>(std::min<std::uint32_t>(message.since_leases(), kLeaseTicks));
  count_votes();
}

void Raft::count_votes() {
  // Our own vote counts once it is on disk; a pre-vote promises nothing.
  const bool own = role_ == Role::pre_candidate || (!hard_dirty_ && hard_write_ <= persisted_) ||
                   planted(Defect::vote_not_persisted);
  auto voted = [&](const Replica& voter) { return voter == self_ ? own : votes_.contains(key(voter)); };
  auto doubtful = [&](const Replica& voter) { return voter == self_ ? in_doubt() : doubtful_.contains(key(voter)); };
  if (!elects(view(), voted, doubtful)) return;
  if (role_ == Role::pre_candidate)
    campaign(false, false);
  else if (role_ == Role::candidate)
    won();
}

void Raft::won() {
  role_ = Role::leader;
  int since = since_leases_;
  for (const auto& [voter, ticks] : votes_) since = std::min(since, ticks);
  lease_wait_ = planted(Defect::leases_not_waited_out) ? 0 : kLeaseTicks - since;
  leader_ = self_;
  votes_.clear();
  progress_.clear();
  transfer_.reset();
  transfer_rest_ = 0;
  transfer_pause_ = options_.election;
  since_heartbeat_ = options_.heartbeat;
  since_check_ = 0;
  rounds_wanted_ = rounds_started_ = 0;
  append({.term = hard_.term, .kind = EntryKind::nothing});
  first_of_term_ = log_.last();
}

void Raft::on_timeout_now(const wire::RaftMessage& message) {
  if (message.term() != hard_.term || leads() || !electable()) return;
  campaign(false, true);
}

}  // namespace chordfs
