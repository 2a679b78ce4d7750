#pragma once
// Node: one member of the ring: its disk, its positions on the circle, its arcs, and one handler for every request.
// The same class runs in chordfs-node and in the simulator.
//
// Owner: the program. Thread: the Runtime's. start(), then wait for ended(); stop() before destruction, after the
// transport delivers no more requests.
// Errors of start(): wrong_ring (the directory belongs to another ring), unreachable (no peer answered), disk errors.

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/arc/arcs.h"
#include "daemon/node/garbage.h"
#include "daemon/node/order.h"
#include "daemon/node/tree_service.h"
#include "daemon/ring/ring.h"
#include "daemon/tree/tree.h"
#include "proto/client/ring_client.h"
#include "proto/rpc/local_transport.h"

namespace chordfs {

struct NodeConfig {
  Endpoint self;               ///< Where others reach this node.
  std::vector<Endpoint> join;  ///< Empty, and an empty data directory: a new ring.
  int arc_bits = ArcMap::kBitsDefault;
  int positions = 8;
  int replicas = 3;      ///< Of every arc; odd. A ring that is joined decides this, arc_bits and positions.
  bool relaxed = false;  ///< --durability relaxed; likewise.
  /// Which boot of the machine this is: when another one wrote last, what was not synced is lost. Empty: not asked.
  std::string boot;
  std::string zone;             ///< Copies go to different zones where there are enough.
  Duration evict_after = 60s;   ///< How long a node may be silent before its copies are made elsewhere.
  Duration sweep_every = 600s;  ///< Pause between two searches for blocks that no file names.
  std::string version = CHORDFS_VERSION;
  RingConfig ring;  ///< Periods, timeouts, on_change; identity and addresses are filled in.
};

class Node {
 public:
  Node(Runtime& runtime, Transport& transport, Disk& disk, NodeConfig config);
  ~Node();

  awaitable<Result<void>> start();
  awaitable<void> stop();

  /// Returns when the node is to end by itself: nothing if it has left the ring, or what broke.
  awaitable<Result<void>> ended();

  const Ring* ring() const { return ring_.get(); }
  const Arcs* arcs() const { return arcs_.get(); }
  const BlockStore* blocks() const { return blocks_.get(); }
  const wire::Peer& self() const { return self_; }
  const Uuid& ring_id() const { return ring_id_; }
  /// Began this run by making a ring, by joining one, or by coming back to one.
  std::string how_started() const { return how_started_; }

 private:
  struct Identity;
  awaitable<Result<Identity>> load_identity();
  /// What a restart needs to find its ring again; written only when it has changed.
  awaitable<Result<void>> save_ring();
  awaitable<Result<void>> enter_ring(Identity& identity);
  awaitable<Result<void>> look_at_boot(const Identity& identity);
  awaitable<Result<void>> put_boot(std::string boot);
  void make_ring(const wire::RingInfo& info);
  void make_layers();
  bool is_alone() const;

  awaitable<Reply> handle(Request request);
  awaitable<Result<Reply>> dispatch(Request request);
  awaitable<Result<Reply>> dispatch_arcs(Request request);
  awaitable<Result<Reply>> put_block(wire::PutBlock put, Bytes contents);
  awaitable<Result<Reply>> get_block(wire::GetBlock get);
  awaitable<Result<Reply>> drop_blocks(wire::DropBlock drop);
  awaitable<Result<Reply>> status(wire::StatusRequest request);
  awaitable<Result<Reply>> leave(bool force);
  /// How many nodes would hold the arcs if this one left.
  awaitable<std::size_t> nodes_without_me();

  awaitable<std::optional<Arcs::Desired>> desired(ArcNumber arc, Replicas members);
  awaitable<Result<Reply>> call(wire::Peer to, Request request, Duration timeout);
  awaitable<void> leave_when_empty();
  awaitable<void> save_peers();
  void fail(Error error);

  Runtime& runtime_;
  LocalTransport transport_;
  Disk& disk_;
  NodeConfig config_;
  wire::Peer self_;
  Uuid ring_id_;
  ArcMap map_;
  std::string how_started_;
  std::optional<std::set<std::string>> saved_peers_;
  std::unique_ptr<BlockStore> blocks_;
  std::unique_ptr<RingClient> client_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Arcs> arcs_;
  std::unique_ptr<Order> order_;
  std::unique_ptr<TreeService> trees_;
  std::unique_ptr<Garbage> garbage_;
  bool serving_ = false;
  bool leaving_ = false;
  bool left_ = false;
  bool boot_noted_ = false;
  OneShot<Result<void>> ended_;
  TaskGroup tasks_;
};

}  // namespace chordfs
