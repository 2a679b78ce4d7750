#include "daemon/ring/ring.h"

#include <fmt/format.h>

#include <algorithm>

#include "proto/base/check.h"
#include "proto/rpc/endpoint.h"

namespace chordfs {

namespace {

constexpr std::size_t kFallbacksMax = 8;  // Remembered peers that a lookup may start from.
constexpr std::size_t kRingInfoPeersMax = 16;

wire::Neighbours to_wire(const View& view) {
  wire::Neighbours wire;
  *wire.mutable_self() = to_wire(view.self);
  *wire.mutable_predecessor() = to_wire(view.predecessor);
  for (const Position& p : view.successors) *wire.add_successors() = to_wire(p);
  return wire;
}

}  // namespace

Ring::Ring(Runtime& runtime, Transport& transport, RingConfig config)
    : runtime_(runtime),
      transport_(transport),
      config_(std::move(config)),
      ring_(config_.ring),
      peers_([&] {
        CHECK(parse(config_.self, node_, at_), "this node has no identity or address");
        return node_;
      }()),
      locations_(config_.locations_max),
      tasks_(runtime),
      asks_(runtime) {
  CHECK(config_.positions > 0 && config_.positions <= static_cast<int>(kPositionsMax), "{}", config_.positions);
  CHECK(config_.arc_bits >= 0 && config_.arc_bits <= ArcMap::kBitsMax, "{}", config_.arc_bits);
  CHECK(config_.replicas >= 0 && config_.replicas <= kReplicasMax, "{}", config_.replicas);
  for (auto peer = config_.peers.rbegin(); peer != config_.peers.rend(); ++peer) {
    Uuid node;
    Endpoint at;
    if (parse(*peer, node, at)) peers_.heard_of(node, at);
  }
}

Ring::~Ring() = default;

void Ring::make_slots() {
  if (!slots_.empty()) return;
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(config_.positions); ++i)
    slots_.push_back(std::make_unique<Slot>(Position{position_id(node_, i), node_, i, at_}, config_.successor_nodes));
  if (!started_) return;
  for (auto& slot : slots_) tasks_.spawn("ring position", maintain(*slot));
}

void Ring::create() {
  CHECK(members().empty(), "already in a ring");
  if (ring_.empty()) {
    std::uint64_t high = runtime_.random();
    ring_ = Uuid(high, runtime_.random());
  }
  make_slots();
  std::vector<Position> positions;
  for (auto& slot : slots_) positions.push_back(slot->state.self());
  for (auto& slot : slots_) {
    slot->state.create(positions);
    poke(*slot);
  }
  changed();
}

void Ring::start() {
  if (started_) return;
  started_ = true;
  for (auto& slot : slots_) tasks_.spawn("ring position", maintain(*slot));
  tasks_.spawn("ring fingers", refresh_fingers());
  tasks_.spawn("ring merge", merge());
}

awaitable<void> Ring::stop() {
  tasks_.stop();
  asks_.stop();
  co_await tasks_.join();
  co_await asks_.join();
}

bool Ring::owns(const Id& key) const {
  return std::ranges::any_of(slots_, [&](const auto& slot) { return slot->state.owns(key); });
}

bool Ring::joined() const {
  return !slots_.empty() && std::ranges::all_of(slots_, [](const auto& slot) { return slot->state.member(); });
}

std::vector<wire::Peer> Ring::known_peers() const {
  std::vector<wire::Peer> list;
  for (const auto& peer : peers_.list()) list.push_back(to_peer(peer.node, peer.at));
  return list;
}

std::vector<View> Ring::members() const {
  std::vector<View> views;
  for (const auto& slot : slots_)
    if (slot->state.member()) views.push_back(slot->state.view());
  return views;
}

std::vector<wire::Neighbours> Ring::neighbours() const {
  std::vector<wire::Neighbours> list;
  for (const auto& slot : slots_) {
    if (slot->state.member())
      list.push_back(to_wire(slot->state.view()));
    else
      *list.emplace_back().mutable_self() = to_wire(slot->state.self());
    list.back().set_busy(slot->busy);
  }
  return list;
}

std::vector<Position> Ring::fingers(std::uint32_t index) const {
  return index < slots_.size() ? slots_[index]->fingers.entries() : std::vector<Position>();
}

Ring::Slot* Ring::slot_of(const Position& position) {
  return position.node == node_ && position.index < slots_.size() ? slots_[position.index].get() : nullptr;
}

std::vector<Table> Ring::tables() const {
  std::vector<Table> tables;
  for (const auto& slot : slots_) tables.push_back({&slot->state, &slot->fingers});
  return tables;
}

wire::Request Ring::request() const {
  wire::Request request;
  if (!ring_.empty()) request.set_ring(ring_.bytes());
  return request;
}

awaitable<Result<Found>> Ring::find_successor(Id id) {
  std::vector<Endpoint> fallbacks;
  for (const auto& peer : peers_.latest(kFallbacksMax, runtime_.now())) fallbacks.push_back(peer.at);
  return look_up(id, std::move(fallbacks));
}

awaitable<Result<Found>> Ring::look_up(Id id, std::vector<Endpoint> fallbacks) {
  auto known = tables();
  auto local = find(id, known, [this](const Position& p) { return !suspected(p); });
  if (local.done) {
    ++lookups_.lookups;
    ++lookups_.local;
    co_return Found{std::move(local.positions), {}};
  }

  Lookup lookup(runtime_, transport_, asks_,
                {.ring = ring_,
                 .timeout = config_.call_timeout,
                 .locations = &locations_,
                 .counters = &lookups_,
                 .patience = config_.lookup_patience},
                id);
  lookup.candidates().exclude(at_);
  // Named by ourselves: if one of them is silent we are asked for others, and may turn out to know the owner.
  for (const Position& p : local.positions) lookup.candidates().offer(p, at_);
  for (const Endpoint& at : fallbacks) lookup.candidates().offer(at);
  auto found = co_await lookup.run();
  for (const Position& p : lookup.unreachable()) died(p.node);
  for (const Endpoint& at : lookup.silent()) doubt(at);
  if (!found) co_return std::move(found).error();
  for (const Position& p : *found) peers_.heard_of(p.node, p.at);
  co_return Found{*std::move(found), lookup.hops()};
}

/// One of ours who listens there, or whom a list or a finger names.
std::optional<Position> Ring::known_at(const Endpoint& at) const {
  auto there = [&](const Position& p) { return p.at == at; };
  for (const auto& slot : slots_) {
    if (there(slot->state.predecessor())) return slot->state.predecessor();
    const auto& successors = slot->state.successors();
    if (auto found = std::ranges::find_if(successors, there); found != successors.end()) return *found;
    auto fingers = slot->fingers.entries();
    if (auto found = std::ranges::find_if(fingers, there); found != fingers.end()) return *found;
  }
  return std::nullopt;
}

/// Someone got no answer there. That is no proof: its own connection may be broken.
void Ring::doubt(const Endpoint& at) {
  auto suspect = known_at(at);
  if (!suspect || suspect->node == node_ || suspected(*suspect) || tasks_.size() >= kTellsMax) return;
  if (looked_for_.insert(suspect->node).second) tasks_.spawn("ring look for", look_for(*std::move(suspect)));
}

awaitable<void> Ring::look_for(Position suspect) {
  Request message{request(), {}};
  message.header.mutable_ping();
  auto reply = co_await transport_.call(suspect.at, std::move(message), config_.call_timeout);
  looked_for_.erase(suspect.node);
  if (reply.code() == Errc::unreachable) died(suspect.node);
  if (reply.code() != Errc::timed_out) co_return;
  // It may be slow. Fingers cost nothing to lose, and stabilize has the rule for successors.
  for (auto& slot : slots_) {
    slot->fingers.forget(suspect.node);
    if (slot->state.member() && slot->state.successor().node == suspect.node) poke(*slot);
  }
}

awaitable<Reply> Ring::handle(wire::Request request) {
  co_return answer(request);
}

Reply Ring::answer(const wire::Request& request) {
  switch (request.kind_case()) {
    case wire::Request::kPing: {
      Reply reply;
      auto& ping = *reply.header.mutable_ping();
      *ping.mutable_peer() = config_.self;
      ping.set_zone(config_.zone);
      ping.set_leaving(leaving_);
      return reply;
    }
    case wire::Request::kNeighbours:
      return answer_neighbours(request.neighbours());
    case wire::Request::kNotify:
      return answer_notify(request.notify());
    case wire::Request::kFind:
      return answer_find(request.find());
    case wire::Request::kLeaveNotice:
      return answer_leave(request.leave_notice());
    case wire::Request::kRingInfo:
      return answer_ring_info(request.ring_info());
    default:
      return error_reply({Errc::bad_message, "no request for the ring"});
  }
}

Reply Ring::answer_neighbours(const wire::NeighboursRequest& request) const {
  Reply reply;
  auto& neighbours = *reply.header.mutable_neighbours();
  if (request.index() >= slots_.size() || !slots_[request.index()]->state.member()) {
    // Without a predecessor: the node runs, but this position is not in the ring.
    auto& self = *neighbours.mutable_self();
    *self.mutable_peer() = config_.self;
    self.set_index(request.index());
    return reply;
  }
  const Slot& slot = *slots_[request.index()];
  if (slot.busy) {
    neighbours.set_busy(true);
    *neighbours.mutable_self() = to_wire(slot.state.self());
  } else {
    neighbours = to_wire(slot.state.view());
  }
  return reply;
}

Reply Ring::answer_notify(const wire::NotifyRequest& request) {
  Position candidate;
  if (!parse(request.candidate(), candidate)) return error_reply({Errc::bad_message, "notify: no candidate"});
  if (request.index() >= slots_.size() || !slots_[request.index()]->state.member())
    return error_reply({Errc::busy, "notify: not in the ring"});
  Slot& slot = *slots_[request.index()];
  if (request.stabilize()) {
    poke(slot);
    return {};
  }
  peers_.met(candidate.node, candidate.at);
  // The usual case, every second: nothing to rectify.
  if (slot.state.consider(candidate) == RingState::Verdict::keep) return {};
  push(slot, {.kind = Notice::Kind::candidate, .position = candidate});
  return {};
}

Reply Ring::answer_find(const wire::FindRequest& request) {
  Id id;
  if (!Id::parse(request.id(), id)) return error_reply({Errc::bad_message, "find: no identifier"});
  if (members().empty()) return error_reply({Errc::busy, "find: not in the ring"});
  std::vector<Endpoint> silent;
  for (const auto& peer : request.silent())
    if (silent.size() < kLookupSilentMax) silent.push_back(endpoint_of(peer));
  auto alive = [this](const Position& p) { return !suspected(p); };
  auto worth_asking = [&](const Position& p) { return alive(p) && std::ranges::find(silent, p.at) == silent.end(); };
  auto found = find(id, tables(), alive, worth_asking);
  for (const Endpoint& at : silent) doubt(at);
  Reply reply;
  reply.header.mutable_find()->set_done(found.done);
  for (const Position& p : found.positions) *reply.header.mutable_find()->add_positions() = to_wire(p);
  return reply;
}

Reply Ring::answer_leave(const wire::LeaveNotice& notice) {
  Notice left{.kind = Notice::Kind::left};
  if (!parse(notice.leaver(), left.position)) return error_reply({Errc::bad_message, "leave notice: no leaver"});
  if (notice.has_predecessor() && !parse(notice.predecessor(), left.predecessor))
    return error_reply({Errc::bad_message, "leave notice: no predecessor"});
  for (const auto& wire : notice.successors())
    if (Position p; left.successors.size() < kSuccessorsMax && parse(wire, p)) left.successors.push_back(std::move(p));
  peers_.forget(left.position.node);
  locations_.drop(left.position.id);
  for (auto& slot : slots_)
    if (slot->state.member()) push(*slot, left);
  return {};
}

Reply Ring::answer_ring_info(const wire::RingInfoRequest& request) {
  if (request.has_joiner()) {
    Uuid node;
    Endpoint at;
    if (!parse(request.joiner(), node, at)) return error_reply({Errc::bad_message, "ring info: no joiner"});
    if (node == node_)
      return error_reply({Errc::invalid, fmt::format("{} has the same identity: one data directory, two nodes, or "
                                                     "this is the joiner's own address",
                                                     at_.text())});
    peers_.met(node, at);
    // It is not in the ring, or not any more: whoever still follows it should notice now.
    for (auto& slot : slots_)
      if (slot->state.member() && slot->state.successor().node == node) poke(*slot);
  }
  if (members().empty()) return error_reply({Errc::busy, at_.text() + " is not in a ring yet, or has left it"});
  Reply reply;
  auto& info = *reply.header.mutable_ring_info();
  info.set_ring(ring_.bytes());
  info.set_arc_bits(static_cast<std::uint32_t>(config_.arc_bits));
  info.set_positions(static_cast<std::uint32_t>(config_.positions));
  info.set_replicas(static_cast<std::uint32_t>(config_.replicas));
  info.set_relaxed(config_.relaxed);
  *info.mutable_self() = config_.self;
  for (const auto& peer : peers_.latest(kRingInfoPeersMax, runtime_.now()))
    *info.add_peers() = to_peer(peer.node, peer.at);
  return reply;
}

}  // namespace chordfs
