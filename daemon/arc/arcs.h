#pragma once
// Arcs: every arc this node has a part in: its replicated log, its records, its blocks. What is above (daemon/node)
// proposes operations and reads; Mover hands arcs to other nodes through the same object.
//
// Owner: the node. Thread: the Runtime's. Create, recover(), start(); stop() before destruction.
// Errors: not_owner when this node does not lead the arc (hint() may know who does); disk errors; cancelled.
// Invariant: of all nodes at most one leads an arc. Leadership passes only by LEAVING there being durable before
// LEADING here is (daemon/arc/README.md).

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "daemon/arc/arc.h"
#include "daemon/arc/committer.h"
#include "daemon/store/block_store.h"
#include "proto/rpc/endpoint.h"
#include "proto/rpc/transport.h"

namespace chordfs {

class Arcs {
 public:
  struct Hooks {
    /// One call to another node, with this ring's identity filled in.
    std::function<awaitable<Result<Reply>>(wire::Peer, Request, Duration)> call;
    /// This node began to lead an arc (at start, or by a move).
    std::function<void(ArcNumber)> led;
    /// The disk failed for good: the node must stop.
    std::function<void(Error)> fatal;
  };

  Arcs(Runtime& runtime, Disk& disk, BlockStore& blocks, std::shared_ptr<const StateMachine> machine, Hooks hooks);

  /// A new ring: every arc begins here, with what the state machine puts into it.
  awaitable<Result<void>> create(ArcMap map);
  /// Reads what this node has a part in and applies what its log holds beyond that.
  awaitable<Result<void>> recover();
  void start() { committer_.start(); }
  awaitable<void> stop();

  ArcPtr find(ArcNumber arc) const;
  bool leads(ArcNumber arc) const;
  std::vector<ArcPtr> all() const;

  /// Commits one operation and returns the state machine's answer to it.
  awaitable<Result<std::string>> propose(ArcNumber arc, std::string operation);
  /// Linearizable: sees everything that was acknowledged before the call.
  awaitable<Result<std::string>> query(ArcNumber arc, std::string query);

  /// Durable at every member when it returns. `passed_on`: from the leader, for a member that is being filled.
  awaitable<Result<void>> put_block(ArcNumber arc, std::string block, Bytes contents, std::uint32_t crc,
                                    bool passed_on);
  awaitable<Result<BlockStore::Part>> get_block(ArcNumber arc, std::string block, std::uint32_t offset,
                                                std::uint32_t length);
  awaitable<Result<void>> drop_blocks(ArcNumber arc, std::vector<std::string> blocks);

  /// Who holds the arc, as far as anyone told us.
  std::optional<wire::Peer> hint(ArcNumber arc) const;
  void set_hint(ArcNumber arc, wire::Peer holder);

  // ---- For Mover and Receiver: changes of this node's part in an arc. ----

  Runtime& runtime() { return runtime_; }
  Disk& disk() { return disk_; }
  BlockStore& blocks() { return blocks_; }
  Committer& committer() { return committer_; }
  const StateMachine& machine() const { return *machine_; }
  const Hooks& hooks() const { return hooks_; }
  /// Durably records the status, together with `batch`.
  awaitable<Result<void>> set_status(ArcPtr arc, disk::ArcStatus status, Batch batch = {});
  /// Forgets the arc: records, log, status, blocks.
  awaitable<Result<void>> erase(ArcPtr arc);
  ArcPtr add(ArcNumber arc);

 private:
  /// Waits while the arc is frozen; then it is led here and counted as under way, or not_owner.
  class UnderWay;
  awaitable<Result<UnderWay>> begin(ArcNumber arc, bool as_learner = false);
  Error not_owner(ArcNumber arc) const;
  awaitable<Result<void>> recover_log(ArcPtr arc);

  Runtime& runtime_;
  Disk& disk_;
  BlockStore& blocks_;
  std::shared_ptr<const StateMachine> machine_;
  Hooks hooks_;
  Committer committer_;
  std::map<ArcNumber, ArcPtr> arcs_;
  std::map<ArcNumber, wire::Peer> hints_;
};

}  // namespace chordfs
