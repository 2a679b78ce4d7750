#pragma once
// CopiesWorld: a virtual world of nodes that are nothing but Copies on a simulated disk, and one client. Who is a
// member and who leads is what the test says: there is no Raft here. Owner: one test. Thread: the world's.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/arc/copies/copies.h"
#include "tools/sim/disk.h"
#include "tools/sim/world.h"

namespace chordfs::test {

class CopiesWorld {
 public:
  static constexpr ArcNumber kArc = 3;
  /// What a replica knows of the arc.
  struct Known {
    std::vector<int> voters;
    std::vector<int> learners = {};
    std::vector<int> old_voters = {};
    std::uint64_t index = 1;
    std::uint64_t term = 1;
    int leader = 0;
  };

  explicit CopiesWorld(int nodes, std::uint64_t seed = 1);

  /// What all know, and what single nodes know instead.
  Known known;
  std::map<int, Known> instead;
  /// Not heard of by the leader.
  std::set<int> not_live;
  /// So many arcs have the same members.
  ArcNumber arcs = kArc + 1;

  static std::string id(int block);
  static std::string contents(int block, std::size_t size = 100);

  World& world() { return *world_; }
  SimHost& host(int n) { return *nodes_[n].host; }
  SimDisk& disk(int n) { return *nodes_[n].disk; }
  Copies& copies(int n);
  BlockStore& blocks(int n);
  static Replica replica(int n);
  static ArcView view(const Known& known);
  void start(int n);
  /// Of all nodes that are up.
  void changed();

  // ---- As a client would. ----
  Result<void> put(int to, int block, std::size_t size = 100);
  Result<std::string> get(int from, int block, bool here = false);
  Result<void> drop(int at, std::vector<int> blocks);
  Result<Reply> call(int to, Request request, Duration timeout = 5s);
  static Request put_request(int block, std::size_t size = 100);

  // ---- Past all protocol. ----
  void place(int n, int block, std::size_t size = 100);
  /// Whether node n, which is up, lists it as held.
  bool holds(int n, int block) { return blocks(n).length_of(kArc, id(block)).has_value(); }
  /// Whether it stands on the disk of node n, up or down.
  bool on_disk(int n, int block);
  bool wait_until_holds(int n, int block, Duration limit = 60s);
  std::uint64_t requests(int field) { return world_->network().counters().request_kinds[field].messages; }

 private:
  class NodeProgram;
  struct Node {
    SimHost* host = nullptr;
    std::unique_ptr<SimDisk> disk;
  };
  std::optional<Copies::Members> members(int n);

  std::vector<Node> nodes_;
  SimHost* client_ = nullptr;
  std::unique_ptr<World> world_;  ///< Last: its end buries the programs, which use the rest.
};

}  // namespace chordfs::test
