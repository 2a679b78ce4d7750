#include "daemon/node/node.h"

#include <spdlog/spdlog.h>

#include <set>

#include "daemon/arc/keys.h"
#include "daemon/store/log_record.h"

namespace chordfs {

namespace {
/// A node that restarts finds its ring through those it has met, perhaps a moment ago.
constexpr Duration kSavePeersEvery = 1s;
/// The last answers to `chordfs leave` go out before the process ends.
constexpr Duration kFarewell = 2s;
constexpr std::size_t kPeersSavedMax = 256;
constexpr std::string_view kStoppedWell = "stopped";

Uuid new_uuid(Runtime& runtime) {
  auto high = runtime.random();
  return {high, runtime.random()};
}
}  // namespace

/// What the data directory says about who this node is; record n+identity and n+ring.
struct Node::Identity {
  Uuid node;
  std::optional<wire::RingInfo> ring;  ///< None: not in a ring yet.
  std::optional<std::string> boot;     ///< The last that wrote here: n+boot; kStoppedWell if nothing was left unsynced.
};

Node::Node(Runtime& runtime, Transport& transport, Disk& disk, NodeConfig config)
    : runtime_(runtime), transport_(transport, config.self), disk_(disk), config_(std::move(config)), tasks_(runtime) {}

Node::~Node() = default;

awaitable<Result<Node::Identity>> Node::load_identity() {
  struct Found {
    std::optional<std::string> node, ring, boot;
  };
  auto found = std::make_shared<Found>();
  CO_TRY_VOID(co_await disk_.read([found](const RecordView& view) {
    found->node = view.get(keys::node("identity"));
    found->ring = view.get(keys::node("ring"));
    found->boot = view.get(keys::node("boot"));
  }));
  Identity identity;
  if (!found->node) {
    // Made once, with the directory: an empty disk is a new node, so nothing can vote with amnesia.
    identity.node = new_uuid(runtime_);
    Batch batch;
    batch.put(keys::node("identity"), seal_record(keys::node("identity"), identity.node.bytes()));
    CO_TRY_VOID(co_await disk_.commit(std::move(batch), Sync::yes));
    co_return identity;
  }
  CO_TRY(auto node, open_record(keys::node("identity"), *found->node));
  if (!Uuid::parse(node, identity.node)) co_return Error{Errc::corrupt, "the node's identity is damaged"};
  if (found->boot) {
    CO_TRY(auto boot, open_record(keys::node("boot"), *found->boot));
    identity.boot = std::string(boot);
  }
  if (!found->ring) co_return identity;
  CO_TRY(auto ring, open_record(keys::node("ring"), *found->ring));
  wire::RingInfo info;
  if (!info.ParseFromArray(ring.data(), static_cast<int>(ring.size())))
    co_return Error{Errc::corrupt, "the record of the ring is damaged"};
  identity.ring = std::move(info);
  co_return identity;
}

awaitable<Result<void>> Node::save_ring() {
  wire::RingInfo info;
  info.set_ring(ring_id_.bytes());
  info.set_arc_bits(static_cast<std::uint32_t>(map_.bits()));
  info.set_positions(static_cast<std::uint32_t>(ring_->positions()));
  info.set_replicas(static_cast<std::uint32_t>(ring_->replicas()));
  info.set_relaxed(ring_->relaxed());
  // Their order is who was heard last, which changes all the time and matters only when there are too many.
  std::set<std::string> peers;
  for (auto& peer : ring_->known_peers()) {
    if (static_cast<std::size_t>(info.peers_size()) >= kPeersSavedMax) break;
    peers.insert(peer.SerializeAsString());
    *info.add_peers() = std::move(peer);
  }
  if (peers == saved_peers_) co_return Result<void>();
  Batch batch;
  batch.put(keys::node("ring"), seal_record(keys::node("ring"), info.SerializeAsString()));
  CO_TRY_VOID(co_await disk_.commit(std::move(batch), Sync::yes));
  saved_peers_ = std::move(peers);
  co_return Result<void>();
}

awaitable<Result<void>> Node::start() {
  CO_TRY(blocks_, co_await BlockStore::open(disk_));
  CO_TRY(auto identity, co_await load_identity());
  self_.set_node(identity.node.bytes());
  self_.set_host(config_.self.host);
  self_.set_port(config_.self.port);
  transport_.serve([this](Request request) { return handle(std::move(request)); });
  transport_.on_death([this](const Endpoint& at) {
    if (serving_) arcs_->died(at);
  });
  CO_TRY_VOID(co_await enter_ring(identity));
  trees_->start();
  garbage_->start();
  tasks_.spawn("save peers", save_peers());
  serving_ = true;
  co_return Result<void>();
}

awaitable<Result<void>> Node::put_boot(std::string boot) {
  Batch batch;
  batch.put(keys::node("boot"), seal_record(keys::node("boot"), boot));
  return disk_.commit(std::move(batch), Sync::yes);
}

/// In a relaxed ring a machine that went down took with it what was acknowledged and not synced.
awaitable<Result<void>> Node::look_at_boot(const Identity& identity) {
  if (!ring_->relaxed() || config_.boot.empty()) co_return Result<void>();
  if (identity.boot && *identity.boot != config_.boot && *identity.boot != kStoppedWell) {
    how_started_ += " after its machine went down (its copies count again once they have caught up)";
    CO_TRY_VOID(co_await arcs_->doubt());
  }
  CO_TRY_VOID(co_await put_boot(config_.boot));
  boot_noted_ = true;
  co_return Result<void>();
}

awaitable<Result<void>> Node::enter_ring(Identity& identity) {
  auto info = identity.ring.value_or(wire::RingInfo());
  bool known = identity.ring.has_value();
  if (known) {
    Uuid::parse(info.ring(), ring_id_);
    map_ = ArcMap(static_cast<int>(info.arc_bits()));
    how_started_ = "back in its ring";
    make_ring(info);
    // What this node holds is served whether or not the ring has formed around it yet: custody is in the logs.
    make_layers();
    CO_TRY_VOID(co_await look_at_boot(identity));
    CO_TRY_VOID(co_await arcs_->recover(map_));
    arcs_->start();
    auto resumed = co_await ring_->resume(config_.join);
    if (resumed.code() == Errc::wrong_ring && !config_.join.empty())
      co_return Error{Errc::wrong_ring, fmt::format("the data directory belongs to ring {}, {} to another: name a PEER "
                                                    "of its own ring, or another directory with --data",
                                                    ring_id_.brief(), config_.join.front().text())};
    co_return resumed;
  }
  if (config_.join.empty()) {
    how_started_ = "a new ring";
    map_ = ArcMap(config_.arc_bits);
    info.set_ring(new_uuid(runtime_).bytes());
    info.set_arc_bits(static_cast<std::uint32_t>(config_.arc_bits));
    info.set_positions(static_cast<std::uint32_t>(config_.positions));
    info.set_replicas(static_cast<std::uint32_t>(config_.replicas));
    info.set_relaxed(config_.relaxed);
    make_ring(info);
    ring_->create();
    ring_->start();
  } else {
    how_started_ = "joined its ring";
    make_ring(info);
    CO_TRY_VOID(co_await ring_->join(config_.join));
    map_ = ArcMap(ring_->arc_bits());
  }
  ring_id_ = ring_->uuid();
  make_layers();
  CO_TRY_VOID(co_await look_at_boot(identity));
  CO_TRY_VOID(co_await (config_.join.empty() ? arcs_->create(map_) : arcs_->recover(map_)));
  arcs_->start();
  // Last, so that a start that failed half-way is a new node again next time.
  co_return co_await save_ring();
}

void Node::make_ring(const wire::RingInfo& info) {
  auto config = config_.ring;
  config.self = self_;
  Uuid::parse(info.ring(), config.ring);
  if (config.ring != Uuid()) {
    config.arc_bits = static_cast<int>(info.arc_bits());
    config.positions = static_cast<int>(info.positions());
    config.replicas = static_cast<int>(info.replicas());
    config.relaxed = info.relaxed();
  }
  config.zone = config_.zone;
  config.peers = {info.peers().begin(), info.peers().end()};
  config.on_change = [this, told = std::move(config.on_change)] {
    if (order_) order_->changed();
    if (arcs_) arcs_->ring_changed();
    if (told) told();
  };
  ring_ = std::make_unique<Ring>(runtime_, transport_, std::move(config));
}

void Node::make_layers() {
  client_ = std::make_unique<RingClient>(runtime_, transport_, std::vector<Endpoint>{config_.self});
  client_->adopt(ring_id_, map_);
  order_ = std::make_unique<Order>(runtime_, transport_, *ring_);
  arcs_ = std::make_unique<Arcs>(
      runtime_, disk_, *blocks_, std::make_shared<const Tree>(map_),
      Arcs::Options{.self = self_, .evict_after = config_.evict_after, .raft = {.relaxed = ring_->relaxed()}},
      Arcs::Hooks{.call = [this](wire::Peer to, Request request,
                                 Duration timeout) { return call(std::move(to), std::move(request), timeout); },
                  .post =
                      [this](Endpoint to, Request request) {
                        request.header.set_ring(ring_id_.bytes());
                        transport_.post(std::move(to), std::move(request));
                      },
                  .desired = [this](ArcNumber arc, Replicas members) { return desired(arc, std::move(members)); },
                  .led = [this](ArcNumber arc) { trees_->led(arc); },
                  .fatal = [this](Error error) { fail(std::move(error)); }});
  trees_ = std::make_unique<TreeService>(runtime_, *arcs_, *client_);
  garbage_ = std::make_unique<Garbage>(runtime_, *blocks_, *client_, config_.sweep_every);
}

bool Node::is_alone() const {
  for (const auto& view : ring_->members())
    for (const auto& successor : view.successors)
      if (successor.node.bytes() != self_.node()) return false;
  return true;
}

awaitable<void> Node::stop() {
  serving_ = false;
  tasks_.stop();
  co_await tasks_.join();
  if (ring_) co_await ring_->stop();
  if (garbage_) co_await garbage_->stop();
  if (trees_) co_await trees_->stop();
  if (client_) co_await client_->stop();
  if (arcs_) co_await arcs_->stop();
  if (order_) co_await order_->stop();
  if (boot_noted_ && !left_) std::ignore = co_await put_boot(std::string(kStoppedWell));
}

awaitable<Result<void>> Node::ended() {
  return ended_.wait();
}

void Node::fail(Error error) {
  spdlog::critical("{}: this node stops", error.text());
  serving_ = false;
  ended_.set(std::move(error));
}

awaitable<Result<Reply>> Node::call(wire::Peer to, Request request, Duration timeout) {
  request.header.set_ring(ring_id_.bytes());
  return transport_.call(endpoint_of(to), std::move(request), timeout);
}

/// Clockwise from the arc's point: the ring's nodes, and among them members that it does not see at this moment.
awaitable<std::optional<Arcs::Desired>> Node::desired(ArcNumber arc, Replicas members) {
  auto found = co_await order_->of(arc);
  if (!found) co_return std::nullopt;
  const auto point = map_.point(arc);
  auto distance = [&](const Candidate& candidate) {
    Uuid node;
    Uuid::parse(candidate.peer.node(), node);
    std::optional<Id> nearest;
    for (int i = 0; i < ring_->positions(); ++i)
      if (auto far = position_id(node, static_cast<std::uint32_t>(i)) - point; !nearest || far < *nearest)
        nearest = far;
    return *nearest;
  };
  Arcs::Desired desired;
  std::map<Id, Candidate> candidates;
  auto replica_of = [](const wire::Peer& peer) {
    Replica replica{.at = endpoint_of(peer)};
    Uuid::parse(peer.node(), replica.node);
    return replica;
  };
  for (auto& candidate : *found) {
    desired.listed.push_back(replica_of(candidate.peer));
    if (candidate.peer.node() == self_.node()) candidate.leaving = leaving_;
    const auto far = distance(candidate);
    candidates.emplace(far, std::move(candidate));
  }
  for (const auto& member : members) {
    Candidate candidate{.peer = to_peer(member.node, member.at)};
    const auto far = distance(candidate);
    candidates.emplace(far, std::move(candidate));
  }
  std::vector<Candidate> in_order;
  for (auto& [far, candidate] : candidates) in_order.push_back(std::move(candidate));
  for (const auto& peer : choose(in_order, ring_->replicas())) desired.chosen.push_back(replica_of(peer));
  co_return desired;
}

awaitable<std::size_t> Node::nodes_without_me() {
  auto found = co_await order_->of(0);
  std::size_t nodes = 0;
  if (found)
    for (const auto& candidate : *found) nodes += !candidate.leaving && candidate.peer.node() != self_.node();
  co_return nodes;
}

awaitable<Result<Reply>> Node::leave(bool force) {
  Reply reply;
  auto& progress = *reply.header.mutable_leave();
  if (!leaving_) {
    if (is_alone())
      co_return Error{Errc::not_permitted, "the last node cannot leave: nobody would hold its files. Stop it instead"};
    const auto promised = static_cast<std::size_t>(ring_->replicas());
    if (auto rest = co_await nodes_without_me(); rest < promised && !force)
      co_return Error{Errc::not_permitted,
                      fmt::format("{} node{} would remain, for {} copies of everything: add one first, or use --force",
                                  rest, rest == 1 ? "" : "s", promised)};
    if (!std::exchange(leaving_, true)) {
      spdlog::info("leaving the ring: {} arcs to hand over", arcs_->all().size());
      ring_->say_leaving();
      arcs_->leave();
      tasks_.spawn("leave", leave_when_empty());
    }
  }
  progress.set_arcs_left(static_cast<std::uint32_t>(arcs_->parts_left()));
  progress.set_done(left_);
  co_return reply;
}

awaitable<void> Node::leave_when_empty() {
  while (arcs_->parts_left() > 0) co_await runtime_.sleep(100ms);
  if (auto gone = co_await ring_->leave(); !gone) spdlog::warn("neighbours not told: {}", gone.error().text());
  // What is left of this directory is a new node's.
  Batch batch;
  batch.erase_range("n", "o");
  std::ignore = co_await disk_.commit(std::move(batch), Sync::yes);
  left_ = true;
  spdlog::info("left the ring; everything was handed over");
  co_await runtime_.sleep(kFarewell);
  ended_.set(Result<void>());
}

awaitable<void> Node::save_peers() {
  for (;;) {
    co_await runtime_.sleep(kSavePeersEvery);
    if (left_) co_return;
    if (auto saved = co_await save_ring(); !saved) spdlog::warn("peers not saved: {}", saved.error().text());
  }
}

}  // namespace chordfs
