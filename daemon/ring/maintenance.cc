// What keeps the ring in order: Zave's stabilize and rectify, fingers, and the merging of rings.

#include <algorithm>

#include "daemon/ring/ring.h"
#include "proto/base/check.h"

namespace chordfs {

namespace {

constexpr int kFingersPerPeriod = 4;
constexpr int kTimeoutsUntilDead = 2;
// News is looked into at once, however long the period (ToN 2003, V-A: the old predecessor fixes its successor); a
// successor that was busy is soon asked again.
constexpr Duration kAtOnce = 20ms;
constexpr Duration kAgain = 100ms;
// One merge in so many asks any peer, also one in our lists: it may not have us in its own.
constexpr std::uint64_t kMergeAnyOneIn = 4;
// Peers that one merge tries until one of them leads anywhere: many that are remembered may be gone.
constexpr int kMergePeersMax = 3;

struct BusyWhile {
  explicit BusyWhile(bool& flag) : busy(flag) { busy = true; }
  ~BusyWhile() { busy = false; }
  BusyWhile(const BusyWhile&) = delete;
  bool& busy;
};

}  // namespace

awaitable<void> Ring::maintain(Slot& slot) {
  for (;;) {
    if (!slot.inbox.empty()) {
      Notice notice = std::move(slot.inbox.front());
      slot.inbox.pop_front();
      co_await attend(slot, std::move(notice));
    } else if (!slot.state.member()) {
      co_await slot.wake.wait();
    } else if (runtime_.now() < slot.due) {
      co_await slot.wake.wait_for(runtime_, slot.due - runtime_.now());
    } else {
      // Set first: a poke during the operation brings it nearer again.
      slot.due = runtime_.now() + runtime_.jitter(config_.stabilize_every);
      slot.answered.clear();
      Progress progress = co_await stabilize(slot);
      if (progress == Progress::changed) poke(slot);
      if (progress == Progress::busy) poke_in(slot, std::min(config_.stabilize_every / 10, kAgain));
    }
  }
}

awaitable<void> Ring::attend(Slot& slot, Notice notice) {
  if (!slot.state.member()) {
    notice.done.set({});
    co_return;
  }
  slot.answered.clear();
  switch (notice.kind) {
    case Notice::Kind::candidate:
      co_await rectify(slot, notice.position);
      break;
    case Notice::Kind::found:
      co_await adopt_found(slot, notice.position);
      break;
    case Notice::Kind::left:
      co_await successor_left(slot, notice.position, notice.successors);
      if (slot.state.predecessor().id == notice.position.id && !notice.predecessor.node.empty())
        co_await rectify(slot, notice.predecessor);
      break;
    case Notice::Kind::depart:
      co_await depart(slot);
      break;
  }
  notice.done.set({});
}

awaitable<Ring::Progress> Ring::stabilize(Slot& slot) {
  // Each turn but the last drops one dead successor.
  for (std::size_t turn = 0; turn <= kSuccessorsMax; ++turn) {
    Position successor = slot.state.successor();
    if (successor.id == slot.state.self().id) break;
    Heard heard = co_await ask(slot, successor);
    if (heard.kind == Heard::Kind::busy) co_return Progress::busy;
    if (heard.kind == Heard::Kind::dead) {
      if (slot.state.drop(successor.id)) successors_changed(slot);
      continue;
    }
    adopted(slot, heard.view.self);
    bool changed = slot.state.from_successor(heard.view);
    if (changed) successors_changed(slot);
    // No other turn of the executor comes between this and the next question: the slot is busy throughout.
    auto closer = slot.state.closer(heard.view.predecessor);
    if (!closer) {
      notify(successor, slot.state.self());
      co_return changed ? Progress::changed : Progress::settled;
    }
    heard = co_await ask(slot, *closer);
    if (heard.kind == Heard::Kind::busy) co_return Progress::busy;
    if (heard.kind == Heard::Kind::dead) {
      notify(successor, slot.state.self());
      co_return Progress::settled;
    }
    adopted(slot, heard.view.self);
    if (slot.state.from_predecessor(heard.view)) successors_changed(slot);
    notify(*closer, slot.state.self());
    co_return Progress::changed;
  }

  // Alone: its own successor. Whoever has become the predecessor is the way back into a ring.
  Position predecessor = slot.state.predecessor();
  if (predecessor.id == slot.state.self().id) co_return Progress::settled;
  Heard heard = co_await ask(slot, predecessor);
  if (heard.kind == Heard::Kind::busy) co_return Progress::busy;
  if (heard.kind == Heard::Kind::member) {
    adopted(slot, heard.view.self);
    if (slot.state.from_predecessor(heard.view)) successors_changed(slot);
    notify(predecessor, slot.state.self());
  } else {
    co_await rectify(slot, slot.state.self());
  }
  co_return Progress::changed;
}

awaitable<void> Ring::rectify(Slot& slot, Position candidate) {
  auto verdict = slot.state.consider(candidate);
  if (verdict == RingState::Verdict::keep) co_return;
  if (verdict == RingState::Verdict::adopt_if_predecessor_dead) {
    Heard heard = co_await ask(slot, slot.state.predecessor());
    if (heard.kind != Heard::Kind::dead) co_return;
  }
  // A notify may be old: no pointer is adopted unless its target answers in this operation.
  Heard heard = co_await ask(slot, candidate);
  if (heard.kind == Heard::Kind::dead) co_return;
  adopted(slot, candidate);
  // The only place where a predecessor changes (C15): what it was cannot have changed meanwhile.
  const Position before = slot.state.predecessor();
  if (!slot.state.set_predecessor(candidate)) co_return;
  changed();
  // The old predecessor's successor is the new one now (ToN 2003, V-A).
  if (before.id != candidate.id) hint(before, candidate);
  if (slot.state.successors().empty()) poke(slot);
}

void Ring::adopted(Slot& slot, const Position& pointer) const {
  CHECK(pointer.node == node_ || std::ranges::find(slot.answered, pointer.id) != slot.answered.end(),
        "{} adopts {}, which has not answered in this operation", slot.state.self().id.brief(), pointer.id.brief());
}

awaitable<void> Ring::successor_left(Slot& slot, Position leaver, std::vector<Position> names) {
  if (std::ranges::find(slot.state.successors(), leaver.id, &Position::id) == slot.state.successors().end()) co_return;
  // Its list is old by the time it is read: someone may have joined behind it. So it only names whom to ask.
  std::optional<View> next;
  if (slot.state.successors().size() == 1) {
    for (const Position& name : names) {
      if (name.id == slot.state.self().id || name.id == leaver.id) continue;
      Heard heard = co_await ask(slot, name);
      if (heard.kind == Heard::Kind::member) {
        next = std::move(heard.view);
        break;
      }
    }
  }
  slot.state.drop(leaver.id);
  if (next) {
    adopted(slot, next->self);
    slot.state.from_predecessor(*next);
  }
  successors_changed(slot);
  poke(slot);
}

awaitable<void> Ring::adopt_found(Slot& slot, Position found) {
  if (!between(slot.state.self().id, found.id, slot.state.successor().id)) co_return;
  Heard heard = co_await ask(slot, found);
  if (heard.kind != Heard::Kind::member) co_return;
  adopted(slot, heard.view.self);
  if (!slot.state.from_elsewhere(heard.view)) co_return;
  successors_changed(slot);
  notify(found, slot.state.self());
  poke(slot);
}

awaitable<Ring::Heard> Ring::ask(Slot& slot, Position position) {
  BusyWhile busy(slot.busy);
  const Id id = position.id;
  Heard heard = co_await query(std::move(position));
  if (heard.kind != Heard::Kind::dead) slot.answered.push_back(id);
  co_return heard;
}

awaitable<Ring::Heard> Ring::query(Position position) {
  if (position.node == node_) {
    Slot* own = slot_of(position);
    if (!own || !own->state.member()) co_return Heard{Heard::Kind::dead, {}};
    if (own->busy) co_return Heard{Heard::Kind::busy, {}};
    co_return Heard{Heard::Kind::member, own->state.view()};
  }
  if (suspected(position)) co_return Heard{Heard::Kind::dead, {}};
  for (int attempt = 0; attempt < kTimeoutsUntilDead; ++attempt) {
    Request message{request(), {}};
    message.header.mutable_neighbours()->set_index(position.index);
    auto called = co_await transport_.call(position.at, std::move(message), config_.call_timeout);
    auto reply = answered(std::move(called));
    if (reply) co_return read(reply->header.neighbours(), position);
    if (reply.code() == Errc::busy || reply.code() == Errc::cancelled) co_return Heard{Heard::Kind::busy, {}};
    if (reply.code() == Errc::unreachable) break;
    // Whatever else answers there is not the node that we knew.
    if (reply.code() != Errc::timed_out) co_return Heard{Heard::Kind::dead, {}};
    if (suspected(position)) break;  // Another of our positions came to that conclusion meanwhile.
  }
  died(position.node);
  co_return Heard{Heard::Kind::dead, {}};
}

Ring::Heard Ring::read(const wire::Neighbours& neighbours, const Position& expected) {
  Heard heard{Heard::Kind::dead, {}};
  View& view = heard.view;
  if (!parse(neighbours.self(), view.self) || view.self.id != expected.id) return heard;
  peers_.met(view.self.node, view.self.at);
  if (neighbours.busy()) {
    heard.kind = Heard::Kind::busy;
    return heard;
  }
  if (!parse(neighbours.predecessor(), view.predecessor)) return heard;
  for (const auto& wire : neighbours.successors()) {
    Position p;
    if (view.successors.size() == kSuccessorsMax || !parse(wire, p)) break;
    peers_.heard_of(p.node, p.at);
    view.successors.push_back(std::move(p));
  }
  heard.kind = Heard::Kind::member;
  return heard;
}

void Ring::died(const Uuid& node) {
  bool news = !peers_.suspected(node, runtime_.now());
  peers_.suspect(node, runtime_.now() + config_.suspect_for);
  if (!news) return;
  lookups_.stale += locations_.forget(node);
  for (auto& slot : slots_) {
    slot->fingers.forget(node);
    if (slot->state.member() && slot->state.successor().node == node) poke(*slot);
  }
}

void Ring::push(Slot& slot, Notice notice) {
  if (notice.kind == Notice::Kind::candidate)
    std::erase_if(slot.inbox, [&](const Notice& n) {
      return n.kind == Notice::Kind::candidate && n.position.id == notice.position.id;
    });
  // What is dropped here comes again with the next period.
  if (slot.inbox.size() >= kNoticesMax && notice.kind != Notice::Kind::depart) return;
  slot.inbox.push_back(std::move(notice));
  slot.wake.notify_all();
}

void Ring::poke(Slot& slot) {
  poke_in(slot, std::min(config_.stabilize_every / 50, kAtOnce));
}

void Ring::poke_in(Slot& slot, Duration delay) {
  slot.due = std::min(slot.due, runtime_.now() + runtime_.jitter(delay));
  slot.wake.notify_all();
}

void Ring::successors_changed(Slot& slot) {
  changed();
  // Its list is built from ours. Told at once, news runs back as far as lists reach in round trips, not in periods.
  if (slot.state.predecessor().id != slot.state.self().id) hint(slot.state.predecessor(), slot.state.successor());
}

void Ring::notify(const Position& to, const Position& candidate) {
  wire::NotifyRequest notify;
  notify.set_index(to.index);
  *notify.mutable_candidate() = to_wire(candidate);
  tell(to, std::move(notify));
}

void Ring::hint(const Position& to, const Position& news) {
  wire::NotifyRequest notify;
  notify.set_index(to.index);
  *notify.mutable_candidate() = to_wire(news);
  notify.set_stabilize(true);
  tell(to, std::move(notify));
}

void Ring::tell(const Position& to, wire::NotifyRequest notify) {
  if (to.node == node_) {
    answer_notify(notify);
    return;
  }
  // One lost for want of room or of an answer comes again with the next period.
  if (suspected(to) || tasks_.size() >= kTellsMax) return;
  tasks_.spawn("ring tell", tell_remote(to, std::move(notify)));
}

awaitable<void> Ring::tell_remote(Position to, wire::NotifyRequest notify) {
  Request message{request(), {}};
  *message.header.mutable_notify() = std::move(notify);
  auto reply = co_await transport_.call(to.at, std::move(message), config_.call_timeout);
  if (reply.code() == Errc::unreachable) died(to.node);
}

void Ring::changed() {
  if (config_.on_change) config_.on_change();
}

awaitable<void> Ring::refresh_fingers() {
  for (std::size_t turn = 0;;) {
    co_await runtime_.sleep(runtime_.jitter(config_.fingers_every));
    peers_.clear_old_suspicions(runtime_.now());
    for (int i = 0; i < kFingersPerPeriod && !slots_.empty(); ++i) {
      Slot& slot = *slots_[turn++ % slots_.size()];
      // A new position fills its whole table at once; afterwards a few per period keep it fresh.
      while (co_await refresh_finger(slot) && slot.fingers.rounds() == 0) {
      }
    }
  }
}

awaitable<bool> Ring::refresh_finger(Slot& slot) {
  auto task = slot.fingers.next(slot.state);
  if (!task) co_return false;
  auto found = co_await find_successor(task->target);
  if (!found)
    slot.fingers.skip(task->power);
  else if (slot.state.member())
    slot.fingers.learnt(slot.state, task->power, found->owner());
  co_return true;
}

awaitable<void> Ring::merge() {
  for (;;) {
    // A position that has lost all others has nothing better to do than to look for them.
    co_await runtime_.sleep(runtime_.jitter(lonely() ? config_.stabilize_every : config_.merge_every));
    if (members().empty()) continue;
    compare_positions();
    std::vector<Uuid> tried;
    while (tried.size() < kMergePeersMax) {
      auto peer = merge_peer(tried);
      if (!peer || co_await merge_through(*peer)) break;
      tried.push_back(peer->node);
    }
  }
}

/// Our positions see different parts of the ring. What one of them has met and another lacks, between itself and its
/// successor, that one has missed: it was cut off, perhaps, and is alone since, and nobody else would tell it.
void Ring::compare_positions() {
  for (auto& slot : slots_) {
    if (!slot->state.member()) continue;
    Position next = slot->state.successor();
    auto offer = [&](const Position& known) {
      if (between(slot->state.self().id, known.id, next.id) && !suspected(known)) next = known;
    };
    for (auto& other : slots_) {
      if (other == slot || !other->state.member()) continue;
      offer(other->state.self());
      offer(other->state.predecessor());
      for (const Position& known : other->state.successors()) offer(known);
    }
    if (next.id != slot->state.successor().id) push(*slot, {.kind = Notice::Kind::found, .position = next});
  }
}

bool Ring::lonely() const {
  return std::ranges::any_of(slots_, [this](const auto& slot) {
    return slot->state.member() &&
           std::ranges::all_of(slot->state.successors(), [this](const auto& p) { return p.node == node_; });
  });
}

awaitable<bool> Ring::merge_through(Peers::Peer peer) {
  // In order one of our positions is as good as another. A node that is alone has them all side by side, and only the
  // last before a stranger finds that one closer than our own next.
  const bool all = lonely();
  const auto first = runtime_.below(slots_.size());
  auto merged = Merged::in_order;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const auto next = co_await merge_position(peer, *slots_[(first + i) % slots_.size()]);
    if (next == Merged::unreached) co_return merged == Merged::found;
    if (next == Merged::found) merged = next;
    // Two rings, or a ring out of order: no need to wait for chance to pick the others.
    if (merged != Merged::found && !all) break;
  }
  co_return true;
}

awaitable<Ring::Merged> Ring::merge_position(Peers::Peer peer, Slot& slot) {
  if (!slot.state.member()) co_return Merged::in_order;
  // Without the cache, which may lead back into our own ring.
  Lookup lookup(runtime_, transport_, asks_, {.ring = ring_, .timeout = config_.call_timeout},
                slot.state.self().id.plus_power(0));
  // Our predecessor would send it to us, and those before it again and again to our predecessor: whoever has us in its
  // list is to name whom it has after us.
  lookup.avoid(at_);
  lookup.candidates().offer(peer.at);
  auto found = co_await lookup.run();
  if (!lookup.hops().empty() && lookup.hops().front().outcome == name_of(Errc::wrong_ring)) peers_.forget(peer.node);
  if (!found) co_return Merged::unreached;
  const Position& owner = found->front();
  if (!slot.state.member() || !between(slot.state.self().id, owner.id, slot.state.successor().id))
    co_return Merged::in_order;
  push(slot, {.kind = Notice::Kind::found, .position = owner});
  co_return Merged::found;
}

std::optional<Peers::Peer> Ring::merge_peer(const std::vector<Uuid>& tried) {
  auto all = peers_.list();
  std::erase_if(all, [&](const Peers::Peer& peer) { return std::ranges::count(tried, peer.node) > 0; });
  auto others = all;
  std::erase_if(others, [this](const Peers::Peer& peer) {
    return std::ranges::any_of(slots_, [&](const auto& slot) { return slot->state.lists(peer.node); });
  });
  auto& from = others.empty() || runtime_.below(kMergeAnyOneIn) == 0 ? all : others;
  if (from.empty()) return std::nullopt;
  return from[runtime_.below(from.size())];
}

}  // namespace chordfs
