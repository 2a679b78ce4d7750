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

Uuid new_uuid(Runtime& runtime) {
  auto high = runtime.random();
  return {high, runtime.random()};
}
}  // namespace

/// What the data directory says about who this node is; record n+identity and n+ring.
struct Node::Identity {
  Uuid node;
  std::optional<wire::RingInfo> ring;  ///< None: not in a ring yet.
};

Node::Node(Runtime& runtime, Transport& transport, Disk& disk, NodeConfig config)
    : runtime_(runtime), transport_(transport, config.self), disk_(disk), config_(std::move(config)), tasks_(runtime) {}

Node::~Node() = default;

awaitable<Result<Node::Identity>> Node::load_identity() {
  struct Found {
    std::optional<std::string> node, ring;
  };
  auto found = std::make_shared<Found>();
  CO_TRY_VOID(co_await disk_.read([found](const RecordView& view) {
    found->node = view.get(keys::node("identity"));
    found->ring = view.get(keys::node("ring"));
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
  CO_TRY_VOID(co_await enter_ring(identity));
  CO_TRY_VOID(co_await sweep_blocks());
  trees_->start();
  mover_->start();
  tasks_.spawn("save peers", save_peers());
  serving_ = true;
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
    CO_TRY_VOID(co_await arcs_->recover());
    if (!config_.join.empty()) {
      auto joined = co_await ring_->join(config_.join);
      if (joined) co_return joined;
      if (joined.code() == Errc::wrong_ring)
        co_return Error{Errc::wrong_ring,
                        fmt::format("the data directory belongs to ring {}, {} to another: name a PEER "
                                    "of its own ring, or another directory with --data",
                                    ring_id_.brief(), config_.join.front().text())};
    }
    co_return co_await ring_->resume();
  }
  if (config_.join.empty()) {
    how_started_ = "a new ring";
    map_ = ArcMap(config_.arc_bits);
    info.set_ring(new_uuid(runtime_).bytes());
    info.set_arc_bits(static_cast<std::uint32_t>(config_.arc_bits));
    info.set_positions(static_cast<std::uint32_t>(config_.positions));
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
  if (config_.join.empty()) CO_TRY_VOID(co_await arcs_->create(map_));
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
  }
  config.peers = {info.peers().begin(), info.peers().end()};
  config.on_change = [this, told = std::move(config.on_change)] {
    if (mover_) mover_->nudge();
    if (told) told();
  };
  ring_ = std::make_unique<Ring>(runtime_, transport_, std::move(config));
}

void Node::make_layers() {
  client_ = std::make_unique<RingClient>(runtime_, transport_, std::vector<Endpoint>{config_.self});
  client_->adopt(ring_id_, map_);
  arcs_ = std::make_unique<Arcs>(
      runtime_, disk_, *blocks_, std::make_shared<const Tree>(map_),
      Arcs::Hooks{.call = [this](wire::Peer to, Request request,
                                 Duration timeout) { return call(std::move(to), std::move(request), timeout); },
                  .led = [this](ArcNumber arc) { trees_->led(arc); },
                  .fatal = [this](Error error) { fail(std::move(error)); }});
  trees_ = std::make_unique<TreeService>(runtime_, *arcs_, *client_);
  mover_ = std::make_unique<Mover>(*arcs_, self_, config_.move_period, [this](ArcNumber arc, Mover::Nodes refusing) {
    return desired(arc, std::move(refusing));
  });
  receiver_ = std::make_unique<Receiver>(*arcs_);
  arcs_->start();
}

bool Node::is_alone() const {
  for (const auto& view : ring_->members())
    for (const auto& successor : view.successors)
      if (successor.node.bytes() != self_.node()) return false;
  return true;
}

/// Blocks of arcs that this node has no part in: a crash came between forgetting an arc and erasing its blocks.
awaitable<Result<void>> Node::sweep_blocks() {
  for (auto arc : blocks_->arcs())
    if (!arcs_->find(arc)) CO_TRY_VOID(co_await blocks_->erase_arc(arc));
  co_return Result<void>();
}

awaitable<void> Node::stop() {
  serving_ = false;
  tasks_.stop();
  co_await tasks_.join();
  if (ring_) co_await ring_->stop();
  if (mover_) co_await mover_->stop();
  if (trees_) co_await trees_->stop();
  if (client_) co_await client_->stop();
  if (arcs_) co_await arcs_->stop();
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

awaitable<std::optional<wire::Peer>> Node::desired(ArcNumber arc, Mover::Nodes refusing) {
  if (!leaving_ && ring_->owns(map_.point(arc))) co_return std::nullopt;
  auto found = co_await ring_->find_successor(map_.point(arc));
  if (!found) co_return std::nullopt;
  // A node that leaves hands over to the next node after its own positions that does not leave, too.
  refusing.insert(self_.node());
  for (const auto& position : found->positions)
    if (!leaving_ || !refusing.contains(position.node.bytes())) co_return to_peer(position.node, position.at);
  co_return std::nullopt;
}

Result<Reply> Node::leave() {
  Reply reply;
  auto& progress = *reply.header.mutable_leave();
  if (!leaving_) {
    if (is_alone())
      return Error{Errc::not_permitted, "the last node cannot leave: nobody would hold its files. Stop it instead"};
    leaving_ = true;
    spdlog::info("leaving the ring: {} arcs to hand over", arcs_->all().size());
    receiver_->refuse();
    mover_->hurry();
    tasks_.spawn("leave", leave_when_empty());
  }
  progress.set_arcs_left(static_cast<std::uint32_t>(arcs_->all().size()));
  progress.set_done(left_);
  return reply;
}

awaitable<void> Node::leave_when_empty() {
  while (!arcs_->all().empty()) co_await runtime_.sleep(100ms);
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
