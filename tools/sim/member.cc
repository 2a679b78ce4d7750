#include "tools/sim/member.h"

#include <fmt/format.h>

#include <algorithm>

#include "proto/base/check.h"

namespace chordfs {

namespace {
constexpr RaftOptions kShort{.election = 1, .rank_step = 0, .heartbeat = 1};

std::uint64_t no_chance(std::uint64_t) {
  return 0;
}
}  // namespace

Replica explored_replica(int number, Generation generation) {
  return {Uuid(1, static_cast<std::uint64_t>(number) + 1), {"", static_cast<std::uint16_t>(number + 1)}, generation};
}

std::optional<int> explored_number(const Uuid& node) {
  for (int number = 0; number < 8; ++number)
    if (explored_replica(number).node == node) return number;
  return std::nullopt;
}

void Member::begin(const ArcView& view) {
  if (view.find(explored_replica(number_).node) == nullptr) return;
  disk_.create({1, 1});
  disk_.hard.term = 1;
  disk_.base = {1, 1, 1, 1, view};
  boot(disk_.generation, disk_.hard, *disk_.log());
}

void Member::boot(const Generation& generation, const Raft::HardState& hard, RaftLog log) {
  raft_.emplace(Raft::Start{.arc = 7,
                            .self = explored_replica(number_, generation),
                            .hard = hard,
                            .log = std::move(log),
                            .applied = 0,
                            .stable = {}},
                no_chance, kShort);
  // It has been up for so long that no lease can be left that it knows of.
  raft_->set_passive(true);
  for (int i = 0; i < kLeaseTicks; ++i) raft_->tick();
  raft_->set_passive(false);
  raft_->take_messages();
  wants_.reset();
}

void Member::say(Did& did, const Raft::Outgoing& out) {
  const auto to = explored_number(out.to.node);
  CHECK(to);
  const auto& message = out.message;
  using wire::RaftMessage;
  const bool promise =
      message.kind() == RaftMessage::PRE_VOTE || (message.kind() == RaftMessage::PRE_VOTE_REPLY && !message.reject());
  if (!promise) promised_ = std::max(promised_, message.term());
  // I5: what is acknowledged is on the disk, and is what the log holds.
  if (message.kind() == RaftMessage::APPEND_REPLY && !message.reject() && message.term() == raft_->term()) {
    const auto index = message.log_index();
    const auto here = raft_->log().term_at(index), there = disk_.term_at(index);
    if (index > disk_.last() || (here && there && here != there))
      did.wrong = fmt::format("I5: {} acknowledges {} of term {}, and has {} of term {}", number_, index,
                              here.value_or(0), disk_.last(), there.value_or(0));
  }
  did.said.push_back({number_, *to, message});
}

void Member::put(Did& did, Pending pending) {
  if (pending.gone) {
    if (disk_.generation == pending.generation) disk_.forget();
    return;
  }
  std::string wrong;
  if (pending.create) {
    wrong = disk_.create(pending.generation);
    did.made.push_back(pending.generation);
  } else {
    wrong = disk_.put(pending.write, pending.base,
                      [&](std::uint64_t index, const LogEntry& entry) { did.erased.emplace_back(index, entry); });
    if (raft_ && raft_->self().generation == pending.generation) raft_->persisted(pending.write.id);
  }
  if (!wrong.empty()) did.wrong = fmt::format("node {}: {}", number_, wrong);
}

/// What Arcs do after every event.
void Member::settle(Did& did, bool late) {
  for (;;) {
    if (raft_ && raft_->gone()) {
      queue_.push_back({.gone = true, .generation = raft_->self().generation, .write = {}, .base = {}});
      raft_.reset();
      wants_.reset();
    }
    if (raft_) {
      while (auto write = raft_->take_write()) {
        auto base = write->new_base ? RaftDisk::Base::of(*raft_) : RaftDisk::Base();
        queue_.push_back({.generation = raft_->self().generation, .write = std::move(*write), .base = std::move(base)});
      }
      if (auto wanted = raft_->take_wanted_snapshot()) {
        wants_ = std::move(wanted);
        raft_->set_passive(true);
      }
      for (const auto& out : raft_->take_messages()) say(did, out);
      if (raft_->fault()) did.wrong = "I5: " + *raft_->fault();
    }
    if (late || queue_.empty()) return;
    auto first = std::move(queue_.front());
    queue_.pop_front();
    put(did, std::move(first));
  }
}

Member::Did Member::deliver(const Message& message, bool late) {
  Did did;
  const Generation meant{message.raft.to_term(), message.raft.to_index()};
  auto highest = disk_.highest;
  for (const auto& pending : queue_)
    if (pending.create) highest = std::max(highest, pending.generation);
  const auto kind = message.raft.kind();
  if ((kind == wire::RaftMessage::APPEND || kind == wire::RaftMessage::SNAPSHOT) && meant > highest) {
    promised_ = 0;
    queue_.push_back({.create = true, .generation = meant, .write = {}, .base = {}});
    boot(meant, {}, RaftLog(0, 0, ArcView{}, 0));
  }
  if (raft_) raft_->step(explored_replica(message.from).node, message.raft);
  settle(did, late);
  return did;
}

Member::Did Member::tick(bool late) {
  Did did;
  if (raft_) raft_->tick();
  settle(did, late);
  return did;
}

Member::Did Member::sync() {
  Did did;
  settle(did, false);
  return did;
}

void Member::crash() {
  up_ = false;
  queue_.clear();
  raft_.reset();
  wants_.reset();
}

Member::Did Member::start() {
  Did did;
  up_ = true;
  if (!disk_.replica) return did;
  if (disk_.hard.term < promised_)
    did.wrong = fmt::format("I6: node {} spoke in term {} and wakes in {}", number_, promised_, disk_.hard.term);
  auto log = disk_.log();
  CHECK(log);
  boot(disk_.generation, disk_.hard, std::move(*log));
  return did;
}

Member::Did Member::propose(bool late) {
  Did did;
  raft_->propose("x");
  settle(did, late);
  return did;
}

ViewStep Member::next_view(const Wish& wish, const Seen& seen) const {
  const auto& raft = *raft_;
  auto up = [&](const Replica& one) { return seen.up[static_cast<std::size_t>(*explored_number(one.node))]; };
  Replicas desired;
  for (int number : wish.desired)
    if (seen.up[static_cast<std::size_t>(number)] || !seen.given_up) desired.push_back(explored_replica(number, {}));
  return next_step(
      {.view = raft.view(),
       .committed = raft.view_committed(),
       .overdue = seen.overdue,
       .self = raft.self(),
       .desired = std::move(desired),
       .live = up,
       .dead = [&](const Replica& one) { return seen.given_up && !up(one); },
       .complete =
           [&](const Replica& one) {
             const auto* known = raft.progress(one);
             return known != nullptr && !known->snapshot && !known->probing && known->match >= raft.commit();
           },
       .leaving =
           [&](const Uuid& one) { return std::ranges::count(wish.leaving, explored_number(one).value_or(-1)) > 0; }});
}

Member::Did Member::change(const Wish& wish, const Seen& seen, bool late) {
  Did did;
  const auto step = next_view(wish, seen);
  if (step.propose)
    raft_->propose_view(*step.propose);
  else if (step.hand_over_to)
    raft_->transfer(*step.hand_over_to);
  settle(did, late);
  return did;
}

Member::Did Member::fetch(const Member& source) {
  Did did;
  const auto wanted = std::exchange(wants_, std::nullopt);
  raft_->set_passive(false);
  const auto& there = source.raft_;
  if (source.up_ && there && there->self() == *wanted && !there->passive()) {
    const auto& log = there->log();
    const auto index = there->committed_here();
    const auto term = log.term_at(index);
    if (term && index > raft_->committed_here())
      raft_->install(index, *term, log.view_at(index), log.view_index_at(index), there->stable());
  }
  settle(did, false);
  return did;
}

std::string Member::fingerprint() const {
  std::string print;
  auto number = [&](std::uint64_t value) { print.append(reinterpret_cast<const char*>(&value), 8); };
  auto text = [&](const std::string& value) { number(value.size()), print += value; };
  auto generation = [&](const Generation& value) { number(value.term), number(value.index); };
  auto hard = [&](const Raft::HardState& value) { number(value.term), text(value.vote.bytes()), number(value.doubt); };
  auto base = [&](const RaftDisk::Base& value) {
    number(value.index), number(value.term), number(value.view_index), text(value.view.text());
  };
  auto entry = [&](const LogEntry& value) {
    number(value.term), number(static_cast<std::uint64_t>(value.kind)), text(value.payload);
  };
  number(static_cast<std::uint64_t>(number_)), number(up_), number(disk_.replica), generation(disk_.generation),
      generation(disk_.highest), hard(disk_.hard);
  base(disk_.base), number(disk_.entries.size()), number(promised_);
  for (const auto& one : disk_.entries) entry(one);
  number(queue_.size());
  for (const auto& one : queue_) {
    number(one.create), number(one.gone), generation(one.generation), base(one.base);
    number(one.write.hard.has_value()), number(one.write.new_base), number(one.write.truncate.value_or(~0ULL));
    if (one.write.hard) hard(*one.write.hard);
    number(one.write.first), number(one.write.entries.size());
    for (const auto& written : one.write.entries) entry(written);
  }
  number(wants_.has_value());
  if (wants_) text(wants_->node.bytes()), generation(wants_->generation);
  number(raft_.has_value());
  if (raft_) print += raft_->fingerprint();
  return print;
}

std::string Member::text() const {
  auto on_disk = fmt::format("disk term {} last {}{}", disk_.hard.term, disk_.last(),
                             queue_.empty() ? "" : fmt::format(", {} writes wait", queue_.size()));
  if (!up_) return fmt::format("{} is down, {}", number_, on_disk);
  if (!raft_) return fmt::format("{} is no member, {}", number_, on_disk);
  return fmt::format("{} {} term {} log {}.{} commit {} view {} {}, {}", number_, name_of(raft_->role()), raft_->term(),
                     raft_->log().last_term(), raft_->log().last(), raft_->commit(), raft_->view_index(),
                     raft_->view().text(), on_disk);
}

}  // namespace chordfs
