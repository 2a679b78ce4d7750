#pragma once
// ArcWatch: the omniscient judge of Raft in a world of whole nodes. After every step it looks at each replica that
// changed, in memory and on the simulated disks, and says which invariant of replication.md, section 5, is broken:
//   I1  at most one leader of an arc in a term.
//   I2  one entry at an index of an arc, once it is committed or applied anywhere.
//   I3  what becomes committed is durable on a majority of each set of voters; looked at again now and then.
//   I4  equal records at equal applied index.
//   I5  nobody counts as durable, here or at a member, what that disk does not hold.
//   I6  the durable term and vote of a replica never go back.
//   I7  a generation never on two stores, nor again where a later one stood or where it was removed.
//   I8  committed views follow one another by the rules: joint in between, voters odd, fewer only when a node leaves.
//   I9  who leads had, when it began, a majority of durable votes.
//   I10 a replica stands only where a committed entry put it.
// What is not whole yet (a snapshot being fetched, a wiped disk) is no witness, for or against.
//
// Owner: RingWorld. Thread: the world's. Errors: to RingWorld::violation. Cost: a few comparisons for each replica of
// the node that ran in the step, and a read of a simulated disk for what changed; records are hashed every kHashEvery
// entries.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/arc/arc.h"
#include "daemon/store/disk.h"

namespace chordfs {

class RingWorld;
class SimHost;

class ArcWatch {
 public:
  using Index = std::size_t;

  explicit ArcWatch(RingWorld& ring) : ring_(ring) {}
  ArcWatch(const ArcWatch&) = delete;

  /// After each step. `only`: nothing but this host has changed since the last look (World::only_stepped).
  void look(const SimHost* only);
  /// This node's incarnation is no more; its disk stays.
  void died(Index node);
  /// Hashes the records of every replica: for a moment when all is calm (I4).
  void compare_records();

  /// Whether this node's disk may be lost for ever now: every arc has a majority of whole replicas on live nodes
  /// besides it, in the only view that anybody knows.
  bool spares(Index node) const;

  /// Where it stands. Nothing if that disk was wiped, or another replica stands there by now.
  std::optional<Index> disk_of(ArcNumber arc, const Replica& replica) const;

  std::uint64_t entries_committed() const { return entries_committed_; }
  std::uint64_t records_compared() const { return records_compared_; }

 private:
  /// A disk between two wipes.
  using Store = std::pair<Index, std::uint64_t>;
  using Key = std::pair<Uuid, Generation>;
  static Key key(const Replica& replica) { return {replica.node, replica.generation}; }
  struct Chosen {
    std::uint64_t term = 0;
    std::size_t hash = 0;
  };
  struct Hard {
    std::uint64_t term = 0;
    std::string vote;
  };
  /// A replica as it was when it was looked at last.
  struct Seen {
    const Raft* raft = nullptr;
    bool leads = false, hard_pending = false;
    std::uint64_t term = 0, commit = 0, last = 0, last_term = 0, durable = 0, applied = 0, view_index = 0;
    Uuid vote;
    std::uint64_t checked = 0;  ///< Entries up to here agree with what was chosen.
    std::map<Key, std::uint64_t> matches;
  };
  struct Node {
    std::map<ArcNumber, Seen> arcs;
    std::uint64_t boots = 0;
  };
  struct ArcHistory {
    std::vector<Chosen> chosen;  ///< By index.
    std::uint64_t committed = 0;
    std::optional<ArcView> view;  ///< The last that is committed.
    std::map<std::uint64_t, Uuid> leaders;
    std::map<Key, Store> stores;
    std::map<Store, std::pair<Generation, bool>> highest;  ///< And whether it is gone.
    std::map<std::pair<Store, Generation>, Hard> hard;
    std::map<std::uint64_t, std::size_t> records;  ///< Hashes, by applied index.
    const Chosen* at(std::uint64_t index) const {
      return index < chosen.size() && chosen[index].term != 0 ? &chosen[index] : nullptr;
    }
  };

  void look_at_node(Index node);
  void look_at(Index node, Arc& arc, Seen& seen);
  void look_at_new(Index node, const Arc& arc, Seen& seen);
  void look_at_gone(Index node, ArcNumber arc);
  void look_at_leader(Index node, const Raft& raft, Seen& seen);
  void look_at_matches(Index node, const Raft& raft, Seen& seen);
  void look_at_entries(Index node, const Arc& arc, Seen& seen);
  void look_at_hard_state(Index node, const Raft& raft, Seen& seen);
  void committed_first(const Raft& raft, const Seen& seen, std::uint64_t index, const LogEntry& entry);
  void look_at_view(ArcNumber arc, ArcHistory& history, const ArcView& next);
  void look_at_records(Index node, ArcNumber arc);
  void look_again(ArcNumber arc);

  Store store(Index node) const;
  std::shared_ptr<const RecordView> durable(Index node) const;
  /// What the disk holds durably of this index: the term, or 0 for what is only in the records; nothing if it has not.
  std::optional<std::uint64_t> durable_term(Index node, ArcNumber arc, std::uint64_t index) const;
  std::optional<Hard> durable_hard(Index node, ArcNumber arc) const;
  bool holds(ArcNumber arc, const Replica& replica, std::uint64_t index, std::uint64_t term) const;
  bool durable_on_majority(ArcNumber arc, const ArcView& view, std::uint64_t index, std::uint64_t term) const;
  ArcHistory& history(ArcNumber arc) { return arcs_[arc]; }

  RingWorld& ring_;
  std::vector<Node> nodes_;
  std::map<ArcNumber, ArcHistory> arcs_;
  std::map<Uuid, Store> uuids_;
  std::uint64_t looks_ = 0, entries_committed_ = 0, records_compared_ = 0;
};

}  // namespace chordfs
