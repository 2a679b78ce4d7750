// How a node's positions get into a ring and out of it.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "daemon/ring/ring.h"
#include "proto/base/check.h"

namespace chordfs {

namespace {

constexpr std::size_t kResumePeersMax = 16;
constexpr Duration kResumeFor = 3s;           // All nodes may be starting: do not wait for one another for long.
constexpr std::size_t kWalkMax = 64;          // Positions between where a lookup ended and where we belong.
constexpr std::size_t kIntroductionsMax = 8;  // More are known only in rings that are not small.
constexpr std::size_t kLeaveTellsMax = 3;     // Successors that a leaver tries to reach until one answers.

Error in_flux(const Id& id) {
  return {Errc::busy, fmt::format("join {}: the ring is changing there", id.brief())};
}

/// Whom it has after itself, but for `id`, which may be there from before a restart.
const Position& next_after(const View& view, const Id& id) {
  auto next = std::ranges::find_if(view.successors, [&](const Position& p) { return p.id != id; });
  return next == view.successors.end() ? view.self : *next;
}

}  // namespace

awaitable<Result<void>> Ring::join(std::vector<Endpoint> via) {
  Time deadline = runtime_.now() + config_.join_for;
  CO_TRY(std::vector<Endpoint> seeds, co_await introduce(std::move(via), deadline));
  co_return co_await enter(std::move(seeds), deadline);
}

awaitable<Result<void>> Ring::resume(std::vector<Endpoint> via) {
  if (!via.empty()) {
    auto named = co_await introduce(via, runtime_.now());
    if (named.code() == Errc::wrong_ring || named.code() == Errc::cancelled) co_return std::move(named).error();
  }
  for (const auto& peer : peers_.list())
    if (via.size() < kResumePeersMax) via.push_back(peer.at);
  const Time deadline = runtime_.now() + config_.join_for;
  while (!via.empty()) {
    auto seeds = co_await introduce(via, runtime_.now() + kResumeFor);
    if (seeds.code() == Errc::cancelled) co_return std::move(seeds).error();
    // In part in the ring, we are the way into it for the rest of our positions.
    if (!seeds && members().empty()) break;
    // Whoever let us in may be gone, and all others in our place: then nobody is in the ring. Ask again soon.
    auto entered = co_await enter(seeds.value_or(via), std::min(deadline, runtime_.now() + kResumeFor));
    if (entered || entered.code() == Errc::cancelled || entered.code() == Errc::invalid) co_return entered;
    if (runtime_.now() >= deadline) co_return entered;
  }
  create();
  start();
  co_return Result<void>();
}

awaitable<Result<std::vector<Endpoint>>> Ring::introduce(std::vector<Endpoint> via, Time deadline) {
  for (;;) {
    Error first{Errc::invalid, "no node to join through"};
    bool busy = false;
    for (const Endpoint& at : via) {
      auto seeds = co_await ask_ring_info(at);
      if (seeds) co_return seeds;
      busy = busy || seeds.code() == Errc::busy;
      // Of several complaints, the one about a node that answered helps most.
      if (first.code == Errc::invalid || first.code == Errc::unreachable) first = std::move(seeds).error();
    }
    if (!busy || runtime_.now() >= deadline) co_return first;
    co_await runtime_.sleep(runtime_.jitter(config_.stabilize_every / 4));
  }
}

awaitable<Result<std::vector<Endpoint>>> Ring::ask_ring_info(Endpoint at) {
  Request message{request(), {}};
  *message.header.mutable_ring_info()->mutable_joiner() = config_.self;
  auto called = co_await transport_.call(at, std::move(message), config_.call_timeout);
  auto reply = answered(std::move(called));
  if (reply && reply->header.has_ring_info()) co_return learn_ring(reply->header.ring_info(), at);
  Error error = reply ? Error{Errc::bad_message, ""} : reply.error();
  if (error.code == Errc::unreachable || error.code == Errc::timed_out)
    error.context =
        fmt::format("no node answers at {}: is it running, is the address right? ({})", at.text(), error.context);
  if (error.code == Errc::bad_message)
    error.context = fmt::format("what answers at {} is not a ChordFS node ({})", at.text(), error.context);
  co_return error;
}

Result<std::vector<Endpoint>> Ring::learn_ring(const wire::RingInfo& info, const Endpoint& at) {
  Uuid ring, node;
  Endpoint self;
  if (!Uuid::parse(info.ring(), ring) || ring.empty() || info.arc_bits() > ArcMap::kBitsMax || info.positions() == 0 ||
      info.positions() > kPositionsMax || info.replicas() > kReplicasMax || !parse(info.self(), node, self))
    return Error{Errc::bad_message, "ring info from " + at.text() + " makes no sense"};
  if (!ring_.empty() && ring != ring_)
    return Error{Errc::wrong_ring,
                 fmt::format("{} belongs to ring {}, this node to ring {}", at.text(), ring.brief(), ring_.brief())};
  // Positions once made stay: a second join after an error is into the same ring.
  ring_ = ring;
  config_.arc_bits = static_cast<int>(info.arc_bits());
  if (info.replicas() > 0) config_.replicas = static_cast<int>(info.replicas());
  config_.relaxed = info.relaxed();
  if (slots_.empty()) config_.positions = static_cast<int>(info.positions());
  peers_.met(node, self);
  std::vector<Endpoint> seeds{at};
  for (const auto& peer : info.peers()) {
    if (!parse(peer, node, self) || node == node_) continue;
    peers_.heard_of(node, self);
    seeds.push_back(self);
  }
  return seeds;
}

awaitable<Result<void>> Ring::enter(std::vector<Endpoint> seeds, Time deadline) {
  make_slots();
  start();
  co_await meet_everybody();
  for (std::size_t i = 0; i < slots_.size();) {
    Slot& slot = *slots_[i];
    if (slot.state.standing() == RingState::Standing::left)
      co_return Error{Errc::invalid, "this node has left the ring for good"};
    if (slot.state.member()) {
      ++i;
      continue;
    }
    auto inserted = co_await insert(slot, seeds);
    if (inserted) continue;
    if (tasks_.stopping()) co_return Error{Errc::cancelled, "join"};
    if (runtime_.now() >= deadline) co_return inserted;
    co_await runtime_.sleep(runtime_.jitter(config_.stabilize_every / 10));
  }
  co_return Result<void>();
}

// Small-ring mode: every member is to know all others, so that whoever is left can find whoever else is. To ask for the
// ring is to introduce oneself, and the answer names those whom that member has met.
awaitable<void> Ring::meet_everybody() {
  std::set<Uuid> met;
  for (bool more = true; more;) {
    more = false;
    for (const Peers::Peer& peer : peers_.list()) {
      if (met.size() == kIntroductionsMax) co_return;
      if (!met.insert(peer.node).second) continue;
      more = true;
      // One that does not answer now is known from now on, and merging asks it again and again.
      auto told = co_await ask_ring_info(peer.at);
      if (told.code() == Errc::wrong_ring) peers_.forget(peer.node);
    }
  }
}

awaitable<Result<void>> Ring::insert(Slot& slot, std::vector<Endpoint> seeds) {
  Id id = slot.state.self().id;
  slot.answered.clear();
  CO_TRY(View before, co_await find_predecessor(slot, std::move(seeds)));
  CO_TRY(before, co_await walk_forward(slot, std::move(before)));

  // before · (id) · next. Alone, `before` is its own successor.
  const Position next = next_after(before, id);
  Heard heard = co_await ask(slot, next);
  // Before we follow one that we found dead, `before` must have dropped it, too: it may be back by then.
  if (heard.kind == Heard::Kind::dead) hint(before.self, slot.state.self());
  if (heard.kind != Heard::Kind::member) co_return in_flux(id);
  // What `before` said is old by now, and the proof's join is atomic: it must still have nobody in between.
  Heard again = next.id == before.self.id ? heard : co_await ask(slot, before.self);
  if (again.kind != Heard::Kind::member || next_after(again.view, id).id != next.id) co_return in_flux(id);
  adopted(slot, before.self);
  adopted(slot, heard.view.self);
  slot.state.join(before.self, heard.view);
  changed();
  notify(heard.view.self, slot.state.self());
  poke(slot);
  co_return Result<void>();
}

awaitable<Result<View>> Ring::find_predecessor(Slot& slot, std::vector<Endpoint> seeds) {
  const Id id = slot.state.self().id;
  CO_TRY(Found found, co_await look_up(id, std::move(seeds)));
  Heard heard{Heard::Kind::dead, {}};
  for (const Position& owner : found.positions) {
    // Ourselves, if we restarted before the others noticed: passed over, whoever follows tells of the predecessor.
    if (owner.id == id) continue;
    heard = co_await ask(slot, owner);
    if (heard.kind == Heard::Kind::busy) co_return in_flux(id);
    if (heard.kind == Heard::Kind::member) break;
  }
  // Backwards, for there may be some between us and the owner that the lookup did not know.
  for (std::size_t i = 0; i < kWalkMax && heard.kind == Heard::Kind::member; ++i) {
    View view = std::move(heard.view);
    if (view.predecessor.id == view.self.id) co_return view;
    bool arrived = between(view.predecessor.id, id, view.self.id);
    heard = co_await ask(slot, view.predecessor);
    if (arrived && heard.kind == Heard::Kind::member) co_return std::move(heard.view);
    if (view.predecessor.id == id) break;
  }
  co_return in_flux(id);
}

awaitable<Result<View>> Ring::walk_forward(Slot& slot, View from) {
  const Id id = slot.state.self().id;
  for (std::size_t i = 0; i < kWalkMax; ++i) {
    // Positions of our own that are in already may be closer, and not yet known there.
    for (const auto& own : slots_)
      if (own->state.member() && between(from.self.id, own->state.self().id, id)) from = own->state.view();
    auto next = std::ranges::find_if(from.successors, [&](const Position& p) { return p.id != id; });
    if (next == from.successors.end() || !between(from.self.id, next->id, id)) co_return from;
    Heard heard = co_await ask(slot, *next);
    if (heard.kind != Heard::Kind::member) break;
    from = std::move(heard.view);
  }
  co_return in_flux(id);
}

awaitable<Result<void>> Ring::leave() {
  CHECK(started_);
  for (auto& slot : slots_) {
    Notice notice{.kind = Notice::Kind::depart};
    OneShot<Nothing> done = notice.done;
    push(*slot, std::move(notice));
    // Its other operations come first: each is bounded by a few timeouts.
    while (slot->state.standing() == RingState::Standing::member && !tasks_.stopping())
      co_await done.wait_for(runtime_, config_.call_timeout);
    if (tasks_.stopping()) co_return Error{Errc::cancelled, "leave the ring"};
    if (!slot->state.member()) slot->state.leave();
  }
  co_return Result<void>();
}

awaitable<void> Ring::depart(Slot& slot) {
  View view = slot.state.view();
  slot.state.leave();
  changed();
  wire::LeaveNotice notice;
  *notice.mutable_leaver() = to_wire(view.self);
  *notice.mutable_predecessor() = to_wire(view.predecessor);
  for (const Position& p : view.successors) *notice.add_successors() = to_wire(p);
  answer_leave(notice);  // Our own other positions.
  co_await send_leave({view.predecessor}, notice);
  co_await send_leave(view.successors, notice);
}

awaitable<void> Ring::send_leave(std::vector<Position> to, wire::LeaveNotice notice) {
  for (std::size_t i = 0; i < std::min(to.size(), kLeaveTellsMax); ++i) {
    if (to[i].node == node_) {
      if (Slot* own = slot_of(to[i]); own && own->state.member()) co_return;
      continue;
    }
    Request message{request(), {}};
    *message.header.mutable_leave_notice() = notice;
    auto called = co_await transport_.call(to[i].at, std::move(message), config_.call_timeout);
    if (answered(std::move(called))) co_return;
  }
}

}  // namespace chordfs
