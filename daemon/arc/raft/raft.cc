#include "daemon/arc/raft/raft.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/arc/raft/defects.h"

namespace chordfs {

std::string_view name_of(Raft::Role role) {
  switch (role) {
    case Raft::Role::follower:
      return "follower";
    case Raft::Role::pre_candidate:
      return "pre-candidate";
    case Raft::Role::candidate:
      return "candidate";
    case Raft::Role::leader:
      return "leader";
  }
  return "?";
}

Raft::Raft(Start start, std::function<std::uint64_t(std::uint64_t)> random, RaftOptions options)
    : arc_(start.arc),
      self_(std::move(start.self)),
      random_(std::move(random)),
      options_(options),
      hard_(start.hard),
      log_(std::move(start.log)),
      commit_(std::max(start.applied, log_.base())),
      durable_(log_.last()),
      passive_(start.passive),
      written_(log_.last()) {
  stable_ = std::min(start.stable.value_or(log_.base()), log_.base());
  for (auto index = log_.base() + 1; index <= commit_; ++index)
    if (!may_be_late(log_.at(index).kind)) stable_ = index;
  agreed_ = this->stable();
  reset_timer();
}

bool Raft::Write::may_be_late() const {
  return !hard && !new_base && !truncate &&
         std::ranges::all_of(entries, [](const LogEntry& entry) { return chordfs::may_be_late(entry.kind); });
}

void Raft::tick() {
  if (gone_ || fault_ || diverged_) return;
  since_leases_ = std::min(since_leases_ + 1, kLeaseTicks);
  // Not before: rounds that were asked for may still be on their way, and what they confirm must have been said.
  if (since_leases_ == kLeaseTicks) leasing_ = false;
  if (leads())
    tick_leader();
  else
    tick_follower();
}

void Raft::step(const Uuid& from_node, const wire::RaftMessage& message) {
  if (gone_ || fault_ || diverged_) return;
  const Generation to{message.to_term(), message.to_index()};
  if (to != self_.generation) return;
  Replica from{.node = from_node, .generation = {message.from_term(), message.from_index()}};
  // Its address is in the view; who is not there is answered where its frame came from (the owner knows).
  if (const auto* member = view().find(from_node)) from.at = member->at;
  const auto kind = message.kind();

  // Whom we know to be removed. One that was made beyond what we know as committed may be of a newer view than ours.
  if (ready() && !view().has(from) && !committed_view().has(from) && from.generation.index <= stable())
    return tell_gone(from);
  if (kind == wire::RaftMessage::GONE) {
    gone_ = true;
    role_ = Role::follower;
    leader_.reset();
    return;
  }
  if (kind == wire::RaftMessage::KNOCK) return;

  if (message.term() > hard_.term) {
    const bool promise =
        kind == wire::RaftMessage::PRE_VOTE || (kind == wire::RaftMessage::PRE_VOTE_REPLY && !message.reject());
    // A voter that hears its leader does not let itself be disturbed (Ongaro 4.2.3).
    if (kind == wire::RaftMessage::VOTE && !message.transfer() && (leads() || heard_leader())) return;
    if (kind == wire::RaftMessage::PRE_VOTE_REPLY && !promise && planted(Defect::pre_vote_does_not_teach)) return;
    if (!promise) become_follower(message.term(), std::nullopt);
  } else if (message.term() < hard_.term) {
    // Whoever leads, or would, in an old term learns of the newer one.
    wire::RaftMessage reply;
    if (kind == wire::RaftMessage::APPEND || kind == wire::RaftMessage::SNAPSHOT)
      reply.set_kind(wire::RaftMessage::APPEND_REPLY);
    else if (kind == wire::RaftMessage::PRE_VOTE)
      reply.set_kind(wire::RaftMessage::PRE_VOTE_REPLY);
    else if (kind == wire::RaftMessage::VOTE)
      reply.set_kind(wire::RaftMessage::VOTE_REPLY);
    else
      return;
    reply.set_reject(true);
    return send(from, std::move(reply));
  }

  switch (kind) {
    case wire::RaftMessage::PRE_VOTE:
      return on_pre_vote(from, message);
    case wire::RaftMessage::VOTE:
      return on_vote(from, message);
    case wire::RaftMessage::PRE_VOTE_REPLY:
      return on_vote_reply(from, message, true);
    case wire::RaftMessage::VOTE_REPLY:
      return on_vote_reply(from, message, false);
    case wire::RaftMessage::APPEND:
      return on_append(from, message);
    case wire::RaftMessage::SNAPSHOT:
      return on_snapshot(from, message);
    case wire::RaftMessage::APPEND_REPLY:
      return on_append_reply(from, message);
    case wire::RaftMessage::TIMEOUT_NOW:
      return on_timeout_now(message);
    default:
      return;
  }
}

void Raft::become_follower(std::uint64_t term, std::optional<Replica> leader) {
  if (term > hard_.term) {
    set_hard(term, {});
    agreed_ = stable();
    acknowledged_ = 0;
  }
  if (role_ == Role::leader) {
    progress_.clear();
    leasing_ = false;
    lease_pause_ = 0;
    transfer_.reset();
    leaderless_ = 0;
    agreed_ = stable();
    acknowledged_ = 0;
    reset_timer();
  }
  role_ = Role::follower;
  votes_.clear();
  leader_ = std::move(leader);
}

void Raft::set_hard(std::uint64_t term, const Uuid& vote) {
  if (term > hard_.term) mourned_.reset();
  hard_ = {term, vote, hard_.doubt};
  hard_dirty_ = true;
}

void Raft::reset_timer() {
  silence_ = 0;
  timeout_ = options_.election + options_.rank_step * rank() + static_cast<int>(random_(3));
}

bool Raft::append(LogEntry entry) {
  return log_.append(std::move(entry));
}

/// What rests on our term or vote waits until they are on disk.
void Raft::send(const Replica& to, wire::RaftMessage message) {
  message.set_arc(arc_);
  message.set_doubtful(in_doubt());
  if (message.term() == 0) message.set_term(hard_.term);
  message.set_from_term(self_.generation.term);
  message.set_from_index(self_.generation.index);
  message.set_to_term(to.generation.term);
  message.set_to_index(to.generation.index);
  auto after = hard_dirty_ ? writes_ + 1 : hard_write_;
  if (planted(Defect::vote_not_persisted)) after = 0;
  if (after > persisted_)
    held_.emplace_back(after, Outgoing{to, std::move(message)});
  else
    outgoing_.push_back({to, std::move(message)});
}

bool Raft::wants_to_write() const {
  return hard_dirty_ || base_dirty_ || truncate_ || written_ < log_.last();
}

std::optional<Raft::Write> Raft::take_write() {
  if (!wants_to_write()) return std::nullopt;
  Write write{.id = ++writes_, .new_base = std::exchange(base_dirty_, false), .truncate = truncate_};
  truncate_.reset();
  const bool hard = std::exchange(hard_dirty_, false);
  if (hard && !planted(Defect::vote_not_persisted)) write.hard = hard_;
  if (hard) hard_write_ = write.id;
  if (write.new_base) base_write_ = write.id;
  write.first = written_ + 1;
  for (auto index = write.first; index <= log_.last(); ++index) write.entries.push_back(log_.at(index));
  written_ = log_.last();
  writing_.push_back({write.id, epoch_, written_, hard});
  return write;
}

void Raft::persisted(std::uint64_t write) {
  while (!writing_.empty() && writing_.front().id <= write) {
    const auto done = writing_.front();
    writing_.pop_front();
    persisted_ = done.id;
    // An entry that was taken back meanwhile may stand on disk no more, whatever its index and term (finding 11).
    if (done.epoch == epoch_)
      durable_ = std::max(durable_, done.last);
    else if (planted(Defect::fsync_matched_by_index))
      durable_ = std::max(durable_, std::min(done.last, log_.last()));
  }
  while (!held_.empty() && held_.front().first <= persisted_) {
    outgoing_.push_back(std::move(held_.front().second));
    held_.pop_front();
  }
  if (fault_ || gone_ || diverged_) return;
  if (leads()) {
    advance_commit();
  } else if (role_ == Role::candidate) {
    count_votes();
  } else if (leader_ && std::min(agreed_, durable_) > acknowledged_) {
    acknowledge(*leader_, 0);
  }
}

std::vector<Raft::Outgoing> Raft::take_messages() {
  if (leads()) broadcast(false);
  return std::exchange(outgoing_, {});
}

std::optional<std::uint64_t> Raft::propose(std::string operation, EntryKind kind) {
  if (!leads() || transfer_ || fault_) return std::nullopt;
  append({.term = hard_.term, .kind = kind, .payload = std::move(operation)});
  return log_.last();
}

std::optional<std::uint64_t> Raft::propose_sync() {
  return propose({}, EntryKind::nothing);
}

void Raft::commit_up_to(std::uint64_t index) {
  for (auto at = std::max(commit_, log_.base()) + 1; at <= index; ++at)
    if (!may_be_late(log_.at(at).kind)) stable_ = at;
  commit_ = std::max(commit_, index);
  // A leader of this term or a later one was elected by those who have all that we acknowledged before; now so have we.
  if (hard_.doubt != 0 && log_.term_at(committed_here()).value_or(0) >= hard_.doubt) {
    hard_.doubt = 0;
    hard_dirty_ = true;
  }
}

std::uint64_t Raft::committed_here() const {
  if (planted(Defect::applied_before_commit) && leads()) return durable_;
  return std::min(commit_, durable_);
}

bool Raft::install(std::uint64_t index, std::uint64_t term, ArcView view, std::uint64_t view_index,
                   std::optional<std::uint64_t> stable) {
  if (index < log_.base()) return false;
  if (log_.matches(index, term) && !planted(Defect::snapshot_drops_suffix)) {
    // What follows may have been acknowledged: it stays (finding 2).
    log_.cut(index);
    written_ = std::max(written_, index);
  } else {
    log_ = RaftLog(index, term, std::move(view), view_index);
    truncate_ = 0;
    written_ = index;
    ++epoch_;
    durable_ = 0;
    agreed_ = index;
  }
  commit_ = std::max(commit_, index);
  stable_ = std::max(stable_, std::min(stable.value_or(index), index));
  agreed_ = std::max(agreed_, index);
  base_dirty_ = true;
  return true;
}

std::optional<Replica> Raft::take_wanted_snapshot() {
  return std::exchange(wanted_snapshot_, std::nullopt);
}

}  // namespace chordfs
