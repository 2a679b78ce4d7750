#pragma once
// Ring: this node's part in the Chord ring. Holds the node's positions, keeps them in order (ring_state.h has the rules
// and README.md the deviations), answers the others, and finds the owner of any identifier.
//
// Owner: the node. Destroy it only after stop(), and after the Transport delivers no more requests to handle().
// Thread: the Runtime's. Errors: of join() see there; find_successor(): unavailable. Nothing here is needed for the
// safety of data: whoever acts on an answer checks it with the arc.
// Limits: kPositionsMax positions, Peers::kPeersMax remembered peers, kNoticesMax waiting for one position,
// kTellsMax messages on their way.

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/ring/fingers.h"
#include "daemon/ring/peers.h"
#include "daemon/ring/ring_state.h"
#include "proto/base/task.h"
#include "proto/client/lookup.h"
#include "proto/rpc/transport.h"

namespace chordfs {

inline constexpr int kPositionsDefault = 8;
/// Of an arc, in all; a ring that says more is refused.
inline constexpr int kReplicasMax = 7;
inline constexpr std::size_t kNoticesMax = 64;
inline constexpr std::size_t kTellsMax = 256;

struct RingConfig {
  wire::Peer self;
  Uuid ring;                          ///< Empty: in none yet.
  int positions = kPositionsDefault;  ///< A ring that is joined decides this, arc_bits and replicas.
  int arc_bits = ArcMap::kBitsDefault;
  int replicas = 0;      ///< Of every arc: what the ring was created with. 0: not known yet.
  bool relaxed = false;  ///< Durability, as the ring was created.
  std::string zone;      ///< Told to whoever pings.
  int successor_nodes = kSuccessorNodes;
  Duration stabilize_every = 1s;
  Duration fingers_every = 1s;
  Duration merge_every = 3s;
  Duration call_timeout = 500ms;
  Duration lookup_patience = kLookupPatience;  ///< Of this node's own lookups.
  Duration suspect_for = 2s;                   ///< How long one that did not answer is not asked again.
  Duration join_for = 30s;                     ///< join() gives up then.
  std::size_t locations_max = kLocationsMax;   ///< Of the location cache; 0: none.
  std::vector<wire::Peer> peers;               ///< Remembered from earlier.
  /// A predecessor, a successor list or the standing of a position has changed. Must not call back into join, leave
  /// or stop.
  std::function<void()> on_change;
};

/// Answer of find_successor: the owner's position, then those after it clockwise.
struct Found {
  std::vector<Position> positions;
  std::vector<Hop> hops;  ///< Empty if this node knew by itself.
  const Position& owner() const { return positions.front(); }
};

class Ring {
 public:
  Ring(Runtime& runtime, Transport& transport, RingConfig config);
  ~Ring();

  /// The first node of a new ring (which gets its identity here unless the config has one): ideal at once.
  void create();
  /// Enters the ring that one of these nodes belongs to, with every position; starts the maintenance. May be called
  /// again after an error. Errors: unreachable, timed_out (nobody answers there), bad_message (no ChordFS node),
  /// wrong_version, wrong_ring (config.ring is another), invalid (that is this node itself, or it has left), busy and
  /// unavailable (the ring was in flux for all of join_for).
  awaitable<Result<void>> join(std::vector<Endpoint> via);
  /// Restart of a node that was in config.ring: joins through `via` and remembered peers. If none of them is in the
  /// ring now, perhaps because all restart at once, its own positions are a ring, and merging finds the others. Errors:
  /// wrong_ring (those in `via` belong to another), busy and unavailable as join().
  awaitable<Result<void>> resume(std::vector<Endpoint> via);
  /// Background maintenance; after create(). Harmless if it runs already.
  void start();
  awaitable<void> stop();
  /// Takes the positions out of the ring, one after the other, telling their neighbours. Lookups and maintenance of
  /// the rest go on; after it this node owns nothing. Needs start().
  awaitable<Result<void>> leave();

  /// ping, neighbours, notify, find, leave_notice, ring_info. The caller has checked request.ring.
  awaitable<Reply> handle(wire::Request request);

  /// key ∈ (predecessor, p] for a position p of this node.
  bool owns(const Id& key) const;
  /// By memory if this node knows, else by iterative lookup that begins with the location cache; also after leave().
  awaitable<Result<Found>> find_successor(Id id);

  const Uuid& uuid() const { return ring_; }
  bool is_self(const Uuid& node) const { return node == node_; }
  int arc_bits() const { return config_.arc_bits; }
  int positions() const { return config_.positions; }
  int replicas() const { return config_.replicas; }
  bool relaxed() const { return config_.relaxed; }
  const std::string& zone() const { return config_.zone; }
  /// From now on pings are told that this node leaves, long before leave(): nobody should give it anything.
  void say_leaving() { leaving_ = true; }
  bool leaving() const { return leaving_; }
  /// Every position is in the ring.
  bool joined() const;
  /// Remembered peers, latest heard of first: for the address book.
  std::vector<wire::Peer> known_peers() const;
  /// All positions that are members, as others see them: for the checker.
  std::vector<View> members() const;
  /// All positions: for Status.
  std::vector<wire::Neighbours> neighbours() const;
  /// Distinct fingers of one position: for people.
  std::vector<Position> fingers(std::uint32_t index) const;
  /// What the lookups of this node have cost, those for its own fingers included.
  const LookupCounters& lookups() const { return lookups_; }

 private:
  /// What a position is to attend to, one at a time: all of its operations run in its one maintain() coroutine.
  struct Notice {
    enum class Kind { candidate, left, found, depart };
    Kind kind;
    Position position;     ///< Candidate for predecessor; who left; whom merging found.
    Position predecessor;  ///< left: the leaver's; no node if unknown.
    std::vector<Position> successors;
    OneShot<Nothing> done;  ///< depart
  };
  struct Slot {
    Slot(Position self, int nodes) : state(std::move(self), nodes) {}
    RingState state;
    Fingers fingers;
    bool busy = false;         ///< Waits for an answer that may change the state (Zave's atomicity).
    std::vector<Id> answered;  ///< Who has, in the operation that runs now (C12).
    Time due{};                ///< Next stabilize.
    std::deque<Notice> inbox;
    Signal wake;
  };
  /// What asking a position for its neighbours taught.
  struct Heard {
    enum class Kind { member, busy, dead };
    Kind kind;
    View view;
  };
  enum class Progress { settled, changed, busy };
  enum class Merged { unreached, in_order, found };

  // ring.cc
  void make_slots();
  Slot* slot_of(const Position& position);
  std::vector<Table> tables() const;
  bool suspected(const Position& position) const { return peers_.suspected(position.node, runtime_.now()); }
  wire::Request request() const;
  Reply answer(const wire::Request& request);
  Reply answer_neighbours(const wire::NeighboursRequest& request) const;
  Reply answer_notify(const wire::NotifyRequest& request);
  Reply answer_find(const wire::FindRequest& request);
  Reply answer_leave(const wire::LeaveNotice& notice);
  Reply answer_ring_info(const wire::RingInfoRequest& request);
  awaitable<Result<Found>> look_up(Id id, std::vector<Endpoint> fallbacks);
  std::optional<Position> known_at(const Endpoint& at) const;
  void doubt(const Endpoint& at);
  awaitable<void> look_for(Position suspect);

  // maintenance.cc: stabilize, rectify, fingers, merging
  awaitable<void> maintain(Slot& slot);
  awaitable<void> attend(Slot& slot, Notice notice);
  awaitable<Progress> stabilize(Slot& slot);
  awaitable<void> rectify(Slot& slot, Position candidate);
  awaitable<void> successor_left(Slot& slot, Position leaver, std::vector<Position> names);
  awaitable<void> adopt_found(Slot& slot, Position found);
  awaitable<void> refresh_fingers();
  awaitable<bool> refresh_finger(Slot& slot);
  awaitable<void> merge();
  void compare_positions();
  /// One of our positions lists nobody but ourselves.
  bool lonely() const;
  /// False: nobody there led us anywhere.
  awaitable<bool> merge_through(Peers::Peer peer);
  awaitable<Merged> merge_position(Peers::Peer peer, Slot& slot);
  std::optional<Peers::Peer> merge_peer(const std::vector<Uuid>& tried);
  /// Asks while the slot is busy, as its answer may change the slot's state.
  awaitable<Heard> ask(Slot& slot, Position position);
  awaitable<Heard> query(Position position);
  Heard read(const wire::Neighbours& neighbours, const Position& expected);
  void died(const Uuid& node);
  void push(Slot& slot, Notice notice);
  void poke(Slot& slot);
  void poke_in(Slot& slot, Duration delay);
  void successors_changed(Slot& slot);
  void adopted(Slot& slot, const Position& pointer) const;
  void notify(const Position& to, const Position& candidate);
  void hint(const Position& to, const Position& news);
  void tell(const Position& to, wire::NotifyRequest notify);
  awaitable<void> tell_remote(Position to, wire::NotifyRequest notify);
  void changed();

  // membership.cc: join, leave
  awaitable<Result<std::vector<Endpoint>>> introduce(std::vector<Endpoint> via, Time deadline);
  awaitable<Result<std::vector<Endpoint>>> ask_ring_info(Endpoint at);
  Result<std::vector<Endpoint>> learn_ring(const wire::RingInfo& info, const Endpoint& at);
  awaitable<Result<void>> enter(std::vector<Endpoint> seeds, Time deadline);
  awaitable<Result<void>> insert(Slot& slot, std::vector<Endpoint> seeds);
  awaitable<Result<View>> find_predecessor(Slot& slot, std::vector<Endpoint> seeds);
  awaitable<Result<View>> walk_forward(Slot& slot, View from);
  awaitable<void> meet_everybody();
  awaitable<void> depart(Slot& slot);
  awaitable<void> send_leave(std::vector<Position> to, wire::LeaveNotice notice);

  Runtime& runtime_;
  Transport& transport_;
  RingConfig config_;
  Uuid node_;
  Endpoint at_;
  Uuid ring_;
  Peers peers_;
  Locations locations_;
  LookupCounters lookups_;
  std::set<Uuid> looked_for_;  ///< Being asked now whether they live.
  bool started_ = false;
  bool leaving_ = false;                      ///< Said to those who ping.
  std::vector<std::unique_ptr<Slot>> slots_;  ///< Never changes once made: coroutines keep references to slots.
  TaskGroup tasks_;
  TaskGroup asks_;  ///< Questions of lookups, which may end after them.
};

}  // namespace chordfs
