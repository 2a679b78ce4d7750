#pragma once
// Iterative Chord lookup (Stoica et al. 2003, find_successor; iterative as in their simulator): the caller talks to
// every hop and sees it. Used by nodes, mounts and tools alike; what each hop answers is daemon/ring's business.
//
// Candidates is the pure part: whom to ask next. Lookup is the part that talks: to one, and beside it to the next best
// when it stays silent for kLookupPatience; an answer that comes late still counts. Whoever named one that does not
// answer is told so, looks for itself, and names others (ToN 2003: the node that supplied a dead entry is told).
// Owner: whoever looks something up, for one lookup. The questions run in the owner's TaskGroup and may end after the
// Lookup: stop and join that group before Runtime, Transport, Locations and counters go. Thread: the Runtime's.
// Errors: `unavailable` when nobody is left to ask or kLookupHopsMax is reached; `cancelled` when the group is stopped;
// single hops never fail the lookup.

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/client/client.h"
#include "proto/client/locations.h"
#include "proto/client/position.h"

namespace chordfs {

/// Nodes asked by one lookup, the dead ones included. Ten thousand nodes need seven; the rest is for rings in repair.
inline constexpr int kLookupHopsMax = 64;
/// Candidates that one hop may name and that a lookup keeps; more are ignored.
inline constexpr std::size_t kLookupCandidatesPerHop = 3;
inline constexpr std::size_t kLookupCandidatesMax = 256;
/// One that is silent for so long is overtaken. Well above a round trip, well below a timeout.
inline constexpr Duration kLookupPatience = 100ms;
/// Nodes asked at the same time by one lookup.
inline constexpr int kLookupParallel = 3;
/// Silent nodes that one request tells of; more are ignored. As many as are asked: who is not told of one names it
/// again, and with half of a thousand nodes dead one lookup in a hundred met more than sixteen.
inline constexpr std::size_t kLookupSilentMax = kLookupHopsMax;

/// What lookups have cost; wire::LookupCounters says what each is.
struct LookupCounters {
  std::uint64_t lookups = 0, local = 0, cache_hits = 0, hops = 0, timeouts = 0, overtaken = 0, stale = 0;
};
wire::LookupCounters to_wire(const LookupCounters& counters);

/// Whom one lookup asks, best first: the one preferred, then the closest that precedes the target, then those whose
/// place is unknown, in the order given. Nobody is handed out twice. Pure.
class Candidates {
 public:
  struct Candidate {
    Endpoint at;
    std::optional<Position> position;  ///< None: a starting point of which only the address is known.
    std::optional<Endpoint> named_by;  ///< None: known before the lookup began.
    bool preferred = false;
  };

  explicit Candidates(const Id& target) : target_(target) {}

  /// Never ask this one: oneself, for instance.
  void exclude(const Endpoint& at) { asked_.insert(at); }
  void offer(const Endpoint& at);
  void offer(const Position& position, std::optional<Endpoint> named_by = std::nullopt);
  /// It is thought to own the target.
  void prefer(const Position& position);
  /// Takes the best one out; nullopt when nobody is left.
  std::optional<Candidate> next();

 private:
  void insert(Candidate candidate);

  Id target_;
  std::set<Endpoint> asked_;
  std::vector<Candidate> waiting_;  ///< In the order in which they were offered.
};

class Lookup {
 public:
  struct Config {
    Uuid ring;
    Duration timeout = 500ms;        ///< Of one hop.
    Locations* locations = nullptr;  ///< Where to begin; learns from what is found. None: no cache.
    LookupCounters* counters = nullptr;
    /// One that is silent for so long is overtaken; not less than timeout: one after the other, as in the paper.
    Duration patience = kLookupPatience;
    Time until = Time::max();  ///< Nobody is asked after it, and no answer awaited beyond it.
  };

  Lookup(Runtime& runtime, Transport& transport, TaskGroup& asks, Config config, const Id& id);
  ~Lookup();

  /// Starting points and exclusions, before run().
  Candidates& candidates();
  /// It did not answer a moment ago: it is not asked, and all who are asked hear of it. Before run().
  void avoid(const Endpoint& at);

  /// The owner's position, then those that follow it clockwise. At most once.
  awaitable<Result<std::vector<Position>>> run();

  /// Whom it asked, in that order, and what came of it, whether or not the lookup ended well.
  const std::vector<Hop>& hops() const;
  /// Positions whose nodes certainly did not answer.
  const std::vector<Position>& unreachable() const;
  /// Nodes that have not answered so far, dead or slow.
  const std::vector<Endpoint>& silent() const;

 private:
  struct State;
  static awaitable<void> ask(std::shared_ptr<State> state, Candidates::Candidate candidate, std::size_t hop);
  static awaitable<void> tell(std::shared_ptr<State> state, Endpoint namer);
  static void unheard(const std::shared_ptr<State>& state, const Candidates::Candidate& candidate);
  void begin(Candidates::Candidate candidate);
  awaitable<void> wait();

  std::shared_ptr<State> state_;  ///< Shared with the questions under way.
};

}  // namespace chordfs
