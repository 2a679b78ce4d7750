#pragma once
// RaftWorld: one arc of 1 to 7 nodes as nothing but its Rafts, in virtual time: simulated disks, network, faults, view
// steps and clients. No coroutines, no nodes: > 1000 virtual seconds a second, so that a change is worth hundreds of
// seeds and a night millions. Everything comes from the seed.
//
// Owner: a test. Thread: one. Use: run() once; violation() says what was wrong.
// What a disk holds is what Arcs keep: term and vote, base, log, applied records (unsynced, never beyond the durable
// log), the generation, and the highest generation that ever stood there. Writes become durable in order; a crash
// keeps any prefix of those that were not.
// A relaxed world (--durability relaxed): late entries are written and not synced, and machines lose power. `power`:
// never so many at once that a majority is in doubt: nothing may be lost. `blackouts`: all of them, too: what no synced
// entry followed may be lost, and what follows from that is looked at no further (lost_branch).

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/arc/raft/raft.h"
#include "daemon/arc/view_step.h"
#include "tools/sim/linearizable.h"
#include "tools/sim/raft_disk.h"
#include "tools/sim/rng.h"

namespace chordfs {

/// What the seed draws: how big, how bad.
struct RaftWorldPlan {
  int nodes = 3;
  int copies = 3;
  bool begin_alone = false;
  Duration chaos = 20s;
  Duration fault_gap = 1s;  ///< Mean.
  double loss = 0, duplication = 0, late = 0;
  Duration fsync_max = 20ms;
  bool slow_disks = false;  ///< So slow that leaders come and go while a write is under way.
  double hunt = 0;          ///< Chance that a new leader is crashed between its first append and its first commit.
  bool churn = false;
  double cut = 0.1;
  Duration hang_gap{};  ///< Mean time between disks that hang while their leader is cut off; 0: none does.
  std::array<int, 9> weights{};
};

inline constexpr Duration kTick = 50ms;

enum class Durability { full, power, blackouts };

class RaftWorld {
 public:
  explicit RaftWorld(std::uint64_t seed, Durability durability = Durability::full);
  ~RaftWorld();

  void run();
  const std::optional<std::string>& violation() const { return violation_; }
  /// Of everything that happened: equal for equal seeds.
  std::uint64_t trace_hash() const { return trace_hash_; }
  Duration virtual_time() const { return now_ - Time(); }
  void set_verbose(bool verbose) { verbose_ = verbose; }

  struct Numbers {
    std::uint64_t messages = 0, elections = 0, views = 0, crashes = 0, wipes = 0, snapshots = 0;
    std::uint64_t ok = 0, failed = 0, unknown = 0;
    std::uint64_t power_losses = 0, lost = 0, rolled_back = 0;
    Duration settled{};  ///< After the healing began.
  };
  const Numbers& numbers() const { return numbers_; }

 private:
  struct State {
    std::uint64_t index = 0, hash = 0;
    std::map<char, std::string> registers;
  };
  using Base = RaftDisk::Base;
  struct Platter : RaftDisk {
    State state;
    bool installing = false;  ///< The records are none: they are to be fetched.
  };
  struct DiskWrite {
    enum class Kind { create, log, gone } kind = Kind::log;
    Generation generation;
    std::uint64_t born = 0;
    Raft::Write write;
    Base base;
    State state;
  };
  struct PendingWrite {
    std::uint64_t term;
    int client;
    History::Id id;
  };
  struct PendingRead {
    std::uint64_t term, round, index;
    int client;
    History::Id id;
    char key;
  };
  struct Node {
    Uuid uuid;
    int number = 0;
    std::uint64_t place = 0;
    bool up = false, wiped = false, leaving = false, left = false;
    Time paused_until, stopped_at;
    Time hung_until;           ///< Its disk takes one write at a time, and long;
    bool hangs_whole = false;  ///< or all at once, and only then.
    double rate = 1;
    std::uint64_t incarnation = 0, born = 0;  ///< born: which Raft object.
    Platter disk;
    Platter synced;                  ///< Relaxed: what a loss of power leaves at least,
    std::deque<DiskWrite> unsynced;  ///< and what it leaves a prefix of.
    bool lost_power = false, lost_branch = false;
    std::deque<DiskWrite> queue;
    bool flushing = false;
    std::unique_ptr<Raft> raft;
    State state;  ///< Applied.
    std::uint64_t checked_commit = 0;
    bool fetching = false, was_leader = false;
    std::optional<std::pair<Time, std::uint64_t>> lease;  ///< Renewed then, confirmed with this round.
    Time leased_until;                                    ///< By the slowest clock of a mount; also after a crash.
    std::uint64_t leased_in = 0;                          ///< This term.
    Time lease_next;
    Time changes_from;         ///< As leader.
    int refused_unstable = 0;  ///< Snapshots it was not given because they might still be taken back.
    std::multimap<std::uint64_t, PendingWrite> writes;
    std::vector<PendingRead> reads;
    std::map<std::pair<Uuid, Generation>, Time> whole_at;
    std::uint64_t watched_view = 0;
    Time watched_since;
    std::uint64_t promised_term = 0;  ///< The highest term that anybody heard from this store.
  };
  struct Event {
    Time at;
    std::uint64_t order;
    std::function<void()> run;
  };
  struct Client {
    std::uint64_t operation = 0;
    bool busy = false;
  };

  // raft_world.cc: time, disks, network.
  void at(Duration delay, std::function<void()> run);
  void on_node(Node& node, Duration delay, std::function<void(Node&)> run);
  bool run_until(Time end);
  Node& add_node();
  void start(Node& node);
  void crash(Node& node, bool keep_something = true);
  void boot_raft(Node& node);
  void enqueue(Node& node, DiskWrite write);
  void flush(Node& node);
  void put(Node& node, DiskWrite& write);
  void put_into(Node& node, DiskWrite& write);
  void sync(Node& node);
  void lose_power(Node& node);
  void roll_back(Node& node);
  bool relaxed() const { return durability_ != Durability::full; }
  bool forgets() const { return durability_ == Durability::blackouts; }
  void settle(Node& node);
  void apply(Node& node);
  void transmit(Node& from, const Raft::Outgoing& out);
  void deliver(Node& to, const Uuid& from, const wire::RaftMessage& message);
  void fetch(Node& node, const Replica& leader);
  void tick(Node& node);
  bool linked(const Node& from, const Node& to) const;
  Node* find(const Uuid& uuid);
  const Node* find(const Uuid& uuid) const;
  Duration delay();
  void erase_replica(Node& node);
  void note(const std::string& what);
  void fail(std::string what);

  // raft_world_life.cc: faults, views, clients, healing.
  void draw_plan();
  void begin();
  void fault();
  void hunt(Node& node);
  void hang();
  void tell_of_death(const Node& dead);
  bool may_lose(const Node& node) const;
  void wipe(Node& node);
  void hello();
  void view_step(Node& node);
  Standing standing(Node& node);
  Replicas desired(const Node& seen_by) const;
  void client_turn(int number);
  void client_done(int number, std::uint64_t operation);
  void heal();
  bool settled(std::string* why);
  std::string nodes_text() const;
  Node* pick(const std::function<bool(const Node&)>& which);

  // raft_world_checks.cc
  void check(Node& node);
  void check_commits(Node& node);
  void check_leases(Node& node);
  void check_view(const ArcView& next, std::uint64_t index);
  void check_sent(Node& node, const Raft::Outgoing& out);
  void check_erased(Node& node, std::uint64_t index, const LogEntry& entry);
  bool on_disk(const Replica& replica, std::uint64_t index, std::uint64_t term) const;
  bool synced_on(const Replica& replica, std::uint64_t index, std::uint64_t term) const;

  const std::uint64_t seed_;
  const Durability durability_;
  Rng rng_;
  Rng hang_rng_;  ///< Its own, so that all other chance of a seed is what it was.
  RaftWorldPlan plan_;
  Time now_;
  bool leases_ = false;  ///< Whoever leads grants leases whenever he may.
  std::uint64_t order_ = 0;
  std::vector<Event> events_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<Uuid, Node*> by_uuid_;
  std::map<std::pair<int, int>, Time> heard_;  ///< (who, whom)
  std::set<std::pair<int, int>> cut_links_;    ///< (from, to)
  bool healing_ = false, clients_stopped_ = false;
  std::vector<Client> clients_;
  History history_;
  std::uint64_t values_ = 0;

  // What is true of the arc, whoever knows it.
  struct Committed {
    std::uint64_t term = 0, entry_hash = 0;
    std::optional<std::uint64_t> state_hash;
  };
  std::vector<Committed> committed_;  ///< By index; [0] unused.
  ArcView committed_view_;
  std::uint64_t stable_ = 1;  ///< The last of them that was synced on a majority.
  std::map<std::uint64_t, std::pair<Uuid, Generation>> leaders_;
  std::uint64_t window_ = 0, window_messages_ = 0;

  Numbers numbers_;
  std::optional<std::string> violation_;
  std::uint64_t trace_hash_ = 0;
  bool verbose_ = false;
};

}  // namespace chordfs
