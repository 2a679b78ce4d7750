#pragma once
// RingWorld: a virtual world of whole nodes: each host runs Node over a simulated disk that lives through its deaths,
// and after every step the invariants that only an omniscient can check are checked: those of Raft (arc_watch.h); and,
// where the faults are such that Zave's theorem holds, hers.
//
//   RingWorld ring({.seed = 7});
//   ring.found();
//   ring.add_node({0});
//   std::string wrong = ring.settle(60s);  // Empty: one ordered ring, every arc at its owner and nowhere else.
//
// Cost: Zave's invariant is evaluated in full only after steps in which some node's ring state changed, which the nodes
// themselves tell (RingConfig::on_change), or in which a node died or started.
// Not checked: C6 (lists carried by messages under way), and therefore C17: one that such a list skips looks like a
// principal until the list arrives. tests/daemon/ring checks both.
//
// Owner: the scenario. Thread: the world's. Errors: violations() collects, the first matters most; nothing throws.
// Limits: kViolationsMax violations are kept.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/node/node.h"
#include "daemon/ring/invariant.h"
#include "proto/client/ring_client.h"
#include "tools/sim/arc_watch.h"
#include "tools/sim/block_watch.h"
#include "tools/sim/disk.h"
#include "tools/sim/stranger.h"
#include "tools/sim/transaction_watch.h"
#include "tools/sim/world.h"

namespace chordfs {

struct RingWorldOptions {
  std::uint64_t seed = 1;
  int arc_bits = 4;
  int positions = 2;
  int replicas = 3;
  bool relaxed = false;
  Duration evict_after = 3s;
  Duration sweep_every = 5s;
  SimDiskOptions disk = {};
  bool check_ring = false;   ///< Zave's invariant; only for failures that her theorem allows.
  bool clock_rates = false;  ///< Nodes' clocks run at 0.8 to 1.25 of the world's.
  bool disk_faults = false;  ///< A node may stop because its disk failed; otherwise that is a violation.
};

class RingWorld {
 public:
  static constexpr std::size_t kViolationsMax = 20;
  using Index = std::size_t;

  explicit RingWorld(RingWorldOptions options);
  ~RingWorld();
  RingWorld(const RingWorld&) = delete;

  World& world() { return world_; }
  const RingWorldOptions& options() const { return options_; }
  ArcMap map() const { return ArcMap(options_.arc_bits); }

  // ---- What happens to nodes. ----

  /// The first node of the ring, serving when this returns.
  Index found();
  /// Starts a further one, which joins through these. Whenever it ends by itself it is started again, as by systemd,
  /// until it has left.
  Index add_node(std::vector<Index> via);
  /// The node hands everything over and ends for good; asked again until it has, also across its crashes.
  void leave(Index index);
  /// Unless it runs already or has left. `via`: the peer on its command line, instead of the one before.
  void restart(Index index, std::optional<Index> via = {});
  /// Its host is down, and comes back at the same address with an empty disk: a new node, which joins through `via`.
  void wipe(Index index, Index via);
  /// Dies for good, without having left; nobody asks for it any more.
  void abandon(Index index);
  /// Whether a node of another ring may take an address now: nobody is about to learn from a door which ring this is.
  bool may_lend() const;
  /// This host is down. A node of another ring stands there until the host dies; may_lend().
  void lend(Index index, std::vector<Index> via);
  bool lent(Index index) const { return slots_.at(index)->lent; }
  const Stranger& stranger() const { return *stranger_; }
  SimDisk& disk(Index index) { return *slots_.at(index)->disk; }
  /// How often this disk was replaced by an empty one.
  std::uint64_t wipes(Index index) const { return slots_.at(index)->wipes; }
  /// From now on this node may stop because its disk fails.
  void forgive_disk(Index index) { slots_.at(index)->disk_forgiven = true; }

  // ---- What is so. ----

  /// Distinct nodes clockwise from the arc's point: who should hold it.
  std::vector<Index> holders(ArcNumber arc) const;

  std::size_t node_count() const { return slots_.size(); }
  SimHost& host(Index index) { return *slots_.at(index)->host; }
  Index index_of(const SimHost& host) const;
  /// Null while it is down or has not got far enough to have layers.
  const Node* node(Index index) const;
  bool serving(Index index) const;
  bool leaving(Index index) const { return slots_.at(index)->leaving; }
  bool gone(Index index) const { return slots_.at(index)->gone; }
  /// Those that have not left: whom faults may strike.
  std::vector<SimHost*> members();
  std::vector<Index> serving_nodes() const;
  /// Of our ring.
  std::vector<Endpoint> endpoints() const;
  /// A client that does not know yet which ring it is for holds this.
  class Connecting {
   public:
    explicit Connecting(RingWorld& ring) : ring_(ring) { ++ring_.connecting_; }
    ~Connecting() { --ring_.connecting_; }
    Connecting(const Connecting&) = delete;

   private:
    RingWorld& ring_;
  };

  /// Of the whole ring, leaving out this node if one is named.
  RingSnapshot snapshot(std::optional<Index> without = {}) const;
  RingMode mode() const { return mode_; }
  /// Whether the theorem covers the sudden death of this node now (C16): nobody is left without a live successor, and
  /// an ordinary ring keeps its principals on r + 1 nodes. Nodes that are leaving count as gone already.
  bool may_fail(Index index) const;
  /// The same for a leave; afterwards the ring may be a small one.
  bool may_leave(Index index) const;

  /// What is not as it should be in a calm ring: nodes not serving, a ring that is not ideal, arcs that are not led by
  /// their Chord owner, parts in arcs and blocks anywhere else. Empty: settled.
  std::string unsettled() const;
  /// Runs until settled; what is still wrong after `limit` otherwise.
  std::string settle(Duration limit);
  /// The same for the ring alone.
  std::string settle_ring(Duration limit);

  const std::vector<std::string>& violations() const { return violations_; }
  void violation(std::string text);
  /// The last lines of the trace when the first violation was found.
  const std::string& trace_of_violation() const { return trace_of_violation_; }
  std::uint64_t ring_checks() const { return ring_checks_; }
  /// The judge of Raft.
  ArcWatch& arcs() { return arcs_; }
  /// And of blocks; and of operations on several arcs.
  BlockWatch& blocks() { return blocks_; }
  TransactionWatch& transactions() { return transactions_; }
  /// Nodes that ended because their disk failed.
  std::size_t disk_ends() const { return disk_ends_; }

  /// "12.345678 s"
  std::string time_text() const;

 private:
  class NodeProgram;
  class Operator;
  struct Slot {
    SimHost* host = nullptr;
    std::unique_ptr<SimDisk> disk;
    std::vector<Endpoint> via;
    NodeProgram* program = nullptr;  ///< While the process lives.
    std::uint64_t wipes = 0;
    bool disk_forgiven = false;
    std::uint64_t power_losses = 0;
    bool leaving = false;
    bool gone = false;
    bool lent = false;
    std::vector<Endpoint> stranger_via;
  };

  Index make_slot(std::vector<Endpoint> via);
  void ended(Index index, Result<void> how, bool had_started);
  bool has_left(const Slot& slot) const;
  void check_step();
  void check_ring();
  std::string unsettled_ring() const;
  std::string parts_text(Index index) const;
  std::string unsettled_arc(ArcNumber arc) const;
  /// Every member with its list, by node and index of position: what to look at when the invariant is broken.
  std::string ring_text() const;

  const RingWorldOptions options_;
  std::vector<std::unique_ptr<Slot>> slots_;
  RingMode mode_ = RingMode::small;
  bool ring_changed_ = false;
  bool fate_changed_ = false;  ///< Somebody died or started.
  ArcWatch arcs_{*this};
  BlockWatch blocks_{*this};
  TransactionWatch transactions_{*this};
  std::vector<std::string> violations_;
  std::string trace_of_violation_;
  std::uint64_t ring_checks_ = 0;
  std::size_t disk_ends_ = 0;
  std::size_t connecting_ = 0;
  SimHost* operator_ = nullptr;
  std::optional<Stranger> stranger_;
  World world_;  ///< Last: its end buries the programs, which use the rest.
};

}  // namespace chordfs
