// Arcs: what goes round: ticks, and after every event the writes and messages that it led to.
#include <spdlog/spdlog.h>

#include "daemon/arc/arcs.h"

namespace chordfs {

namespace {
/// After a tick: a flush would do nothing. So it is with most of the arcs that a node only follows. A follower that
/// hears its leader says nothing by itself, and whatever else happens to an arc touches it.
bool is_quiet(const Arc& arc) {
  const auto& raft = *arc.raft;
  return raft.role() == Raft::Role::follower && raft.leader() && raft.leader()->node == arc.seen.second &&
         raft.view_index() == arc.seen.first && !raft.wants_to_write() && !raft.passive() && !raft.gone() &&
         !raft.fault() && raft.committed_here() <= arc.applied && !arc.fetching && arc.led_term == 0 &&
         arc.confirmed == 0;
}
}  // namespace

awaitable<void> Arcs::tick() {
  for (;;) {
    co_await runtime_.sleep(kRaftTick);
    for (const auto& [number, arc] : arcs_) {
      if (!arc->raft || arc->replacing) continue;
      arc->raft->tick();
      if (!is_quiet(*arc)) touch(arc);
    }
  }
}

void Arcs::touch(const ArcPtr& arc) {
  if (std::exchange(arc->queued, true)) return;
  queued_.push_back(arc);
  queue_.notify_all();
}

/// In a later turn than the events: all that came in one turn shares a write and a frame for each node.
awaitable<void> Arcs::drive() {
  for (;;) {
    while (queued_.empty()) co_await queue_.wait();
    for (const auto& arc : std::exchange(queued_, {})) {
      arc->queued = false;
      if (arc->raft && !arc->replacing) flush(arc);
    }
    messenger_.flush();
  }
}

void Arcs::flush(const ArcPtr& arc) {
  auto& raft = *arc->raft;
  if (auto write = raft.take_write()) writer_.add(arc, std::move(*write));
  for (auto& message : raft.take_messages()) messenger_.add(std::move(message));
  look_at_role(arc);
  if (raft.fault() && !arc->broken) {
    arc->broken = Error{Errc::corrupt, *raft.fault()};
    spdlog::critical("{}: this copy of the arc serves no more", *raft.fault());
  }
  if (raft.diverged()) {
    tasks_.spawn("roll a replica back", roll_back(arc));
    return;
  }
  if (raft.gone()) {
    tasks_.spawn("remove a replica", remove(arc));
    return;
  }
  auto wanted = raft.take_wanted_snapshot();
  if (!wanted && raft.passive() && raft.leader()) wanted = raft.leader();
  if (wanted && wanted->node != self_) snapshots_.fetch(arc, *wanted);
  if (arc->fetching) arc->changed.notify_all();
  if (!arc->applying && raft.committed_here() > arc->applied) applier_.add(arc);
  if (const auto round = raft.confirmed_round(); round != arc->confirmed) {
    arc->confirmed = round;
    arc->changed.notify_all();
  }
  // What a leader knew of puts that somebody missed goes with it: then all compare.
  const std::pair seen(raft.view_index(), raft.leader() ? raft.leader()->node : Uuid());
  if (seen != arc->seen) {
    arc->seen = seen;
    if (raft.leader()) copies_.changed(arc->number);
  }
}

void Arcs::look_at_role(const ArcPtr& arc) {
  if (!arc->leads()) {
    if (arc->led_term == 0) return;
    arc->led_term = 0;
    arc->complete.clear();
    fail_waiting(*arc, {Errc::timed_out, fmt::format("leadership of arc {} was lost meanwhile", arc->number)});
    arc->changed.notify_all();
    return;
  }
  if (arc->serves() || !arc->raft->ready() || arc->applied < arc->raft->commit()) return;
  // What waited in an earlier leadership may have been committed or not.
  fail_waiting(*arc, {Errc::timed_out, fmt::format("leadership of arc {} was lost meanwhile", arc->number)});
  arc->led_term = arc->raft->term();
  arc->led_since = runtime_.now();
  arc->complete.clear();
  arc->changed.notify_all();
  hooks_.led(arc->number);
}

void Arcs::fail_waiting(Arc& arc, const Error& error) {
  for (auto& [index, waiter] : std::exchange(arc.waiting, {})) waiter.done.set(error);
}

}  // namespace chordfs
