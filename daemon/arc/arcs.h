#pragma once
// Arcs: every arc this node has a part in: its replica, its records, its blocks. What is above (daemon/node) proposes
// operations and reads; what comes from other nodes' Arcs arrives here through the node's one handler.
//
// Owner: the node. Thread: the Runtime's. create() or recover(), start(); stop() before destruction.
// Errors: not_owner when this node does not lead the arc (hint() may know who does); busy when it leads but is not
// ready soon; timed_out when members are slow, or leadership was lost meanwhile (unknown whether it
// happened); disk errors; cancelled.
// The rules that keep an arc from being lost or forked: README.md of this folder.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "daemon/arc/applier.h"
#include "daemon/arc/arc.h"
#include "daemon/arc/arc.pb.h"
#include "daemon/arc/copies/copies.h"
#include "daemon/arc/log_writer.h"
#include "daemon/arc/messenger.h"
#include "daemon/arc/snapshots.h"
#include "daemon/arc/state_machine.h"
#include "daemon/store/block_store.h"
#include "proto/rpc/endpoint.h"
#include "proto/rpc/transport.h"

namespace chordfs {

/// Of the runtime's clock; Raft counts in these.
inline constexpr Duration kRaftTick = 100ms;

class Arcs {
 public:
  /// Who should hold an arc, as the ring sees it.
  struct Desired {
    Replicas chosen;  ///< At most r, the preferred leader first.
    Replicas listed;  ///< All that the ring names from there on.
  };
  struct Hooks {
    /// One call to another node, with this ring's identity filled in.
    std::function<awaitable<Result<Reply>>(wire::Peer, Request, Duration)> call;
    std::function<void(Endpoint, Request)> post;
    /// Members that are not to be counted as absent though the ring may not see them are named.
    std::function<awaitable<std::optional<Desired>>(ArcNumber, Replicas)> desired;
    /// This node began to lead an arc and is ready.
    std::function<void(ArcNumber)> led;
    /// The disk failed for good: the node must stop.
    std::function<void(Error)> fatal;
  };
  struct Options {
    wire::Peer self;
    Duration evict_after = 60s;
    RaftOptions raft;  ///< `relaxed` with the rest.
  };

  Arcs(Runtime& runtime, Disk& disk, BlockStore& blocks, std::shared_ptr<const StateMachine> machine, Options options,
       Hooks hooks);
  ~Arcs();

  /// A new ring: every arc begins here, with what the state machine puts into it.
  awaitable<Result<void>> create(ArcMap map);
  /// Before recover(): the machine went down with what was not synced. No replica here knows what it acknowledged.
  awaitable<Result<void>> doubt();
  /// Reads what this node has a part in.
  awaitable<Result<void>> recover(ArcMap map);
  void start();
  awaitable<void> stop();
  /// This node takes nothing new and wants to be replaced everywhere.
  void leave();
  void ring_changed();

  ArcPtr find(ArcNumber arc) const;
  bool leads(ArcNumber arc) const;
  /// Also those whose replica is gone or on its way.
  const std::map<ArcNumber, ArcPtr>& parts() const { return arcs_; }
  /// Those with a replica here.
  std::vector<ArcPtr> all() const;
  /// Arcs that a leaving node has not got rid of yet: replicas, or blocks that others may lack.
  std::size_t parts_left() const;

  /// Commits one operation and returns the state machine's answer to it.
  awaitable<Result<std::string>> propose(ArcNumber arc, std::string operation, EntryKind kind = EntryKind::synced);
  /// Everything that was acknowledged in the arc before the call is synced on a majority when it returns.
  awaitable<Result<void>> sync(ArcNumber arc);
  /// Linearizable: sees everything that was acknowledged before the call.
  awaitable<Result<std::string>> query(ArcNumber arc, std::string query);
  /// Blocks; put and drop at the leader only.
  Copies& copies() { return copies_; }
  const Copies& copies() const { return copies_; }
  awaitable<Result<void>> put_block(ArcNumber arc, std::string block, Bytes contents, std::uint32_t crc);
  awaitable<Result<void>> drop_blocks(ArcNumber arc, std::vector<std::string> blocks);

  /// Who leads the arc, as far as this node knows.
  std::optional<wire::Peer> hint(ArcNumber arc) const;

  // ---- From other nodes. ----

  void receive(const wire::RaftFrame& frame);
  /// The process there has died: what Transport::on_death tells.
  void died(const Endpoint& at);
  awaitable<Result<Reply>> page(wire::ArcPageRequest request) { return snapshots_.page(std::move(request)); }
  Result<Reply> view(const wire::ArcViewRequest& request) const;
  /// For `chordfs verify`.
  awaitable<Result<Reply>> hash(wire::ArcHashRequest request);
  void add_status(wire::Status& status) const;

 private:
  friend class ViewChanger;

  void make_replica(const ArcPtr& arc, Raft::Start start);
  awaitable<Result<void>> recover_arc(ArcNumber arc);
  Error not_owner(ArcNumber arc) const;
  /// Leads the arc and is ready, now or by then.
  awaitable<Result<ArcPtr>> begin(ArcNumber arc, Time until);
  std::optional<Copies::Members> members_of(ArcNumber arc) const;

  // arcs_drive.cc
  awaitable<void> tick();
  awaitable<void> drive();
  void touch(const ArcPtr& arc);
  void flush(const ArcPtr& arc);
  void look_at_role(const ArcPtr& arc);
  void fail_waiting(Arc& arc, const Error& error);

  // arcs_replicas.cc: replicas that come and go
  void step(const Uuid& from, const wire::RaftMessage& message);
  awaitable<void> adopt(ArcPtr arc, Generation generation, wire::RaftMessage message, Uuid from);
  awaitable<void> remove(ArcPtr arc);
  awaitable<void> roll_back(ArcPtr arc);
  awaitable<Result<void>> erase(ArcPtr arc, disk::ArcReplica replica, bool anew);
  awaitable<void> retire(ArcPtr arc);
  awaitable<void> ask_if_member(ArcPtr arc);
  void look_after(const ArcPtr& arc);
  awaitable<std::optional<std::pair<ArcView, std::uint64_t>>> ask_view(ArcNumber arc);

  Runtime& runtime_;
  Disk& disk_;
  BlockStore& blocks_;
  std::shared_ptr<const StateMachine> machine_;
  Options options_;
  Uuid self_;
  Hooks hooks_;
  ArcMap map_;
  Messenger messenger_;
  LogWriter writer_;
  Applier applier_;
  Snapshots snapshots_;
  Copies copies_;
  std::unique_ptr<class ViewChanger> changer_;
  std::map<ArcNumber, ArcPtr> arcs_;
  std::vector<ArcPtr> queued_;
  Signal queue_;
  bool started_ = false;  ///< Before, this node does not know what it is a member of, and hears nothing.
  bool leaving_ = false;
  TaskGroup tasks_;
};

}  // namespace chordfs
