#pragma once
// Iterative Chord lookup (Stoica et al. 2003, find_successor; iterative as in their simulator): the caller talks to
// every hop and sees it. Used by nodes, mounts and tools alike; what each hop answers is daemon/ring's business.
//
// Candidates is the pure part: whom to ask next. Lookup is the part that talks.
// Owner: whoever looks something up, for one lookup. Thread: the Runtime's.
// Errors: `unavailable` when nobody is left to ask or kLookupHopsMax is reached; single hops never fail the lookup.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/client/client.h"
#include "proto/id/id.h"
#include "proto/rpc/transport.h"

namespace chordfs {

/// Nodes asked by one lookup, the dead ones included. Ten thousand nodes need seven; the rest is for rings in repair.
inline constexpr int kLookupHopsMax = 64;
/// Candidates that one hop may name and that a lookup keeps; more are ignored.
inline constexpr std::size_t kLookupCandidatesPerHop = 3;
inline constexpr std::size_t kLookupCandidatesMax = 256;
/// Positions of one node; a higher index from the wire is refused.
inline constexpr std::uint32_t kPositionsMax = 16;

/// One point of a node on the circle, and where that node listens. `id` always is position_id(node, index).
struct Position {
  Id id;
  Uuid node;
  std::uint32_t index = 0;
  Endpoint at;
  friend bool operator==(const Position&, const Position&) = default;
};

/// From the wire: false if anything is missing or over its cap.
bool parse(const wire::Peer& from, Uuid& node, Endpoint& at);
bool parse(const wire::Position& from, Position& to);
wire::Peer to_peer(const Uuid& node, const Endpoint& at);
wire::Position to_wire(const Position& position);

/// Whom one lookup asks, best first: the closest that precedes the target, then those whose place is unknown, in the
/// order given. Nobody is named twice. Pure.
class Candidates {
 public:
  struct Candidate {
    Endpoint at;
    std::optional<Position> position;  ///< None: a starting point of which only the address is known.
  };

  explicit Candidates(const Id& target) : target_(target) {}

  /// Never ask this one: oneself, for instance.
  void exclude(const Endpoint& at) { asked_.insert(at); }
  void offer(const Endpoint& at);
  void offer(const Position& position);
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
    Duration timeout = 500ms;  ///< Of one hop.
  };

  Lookup(Runtime& runtime, Transport& transport, Config config, const Id& id)
      : runtime_(runtime), transport_(transport), config_(config), id_(id), candidates_(id) {}

  /// Starting points and exclusions, before run().
  Candidates& candidates() { return candidates_; }

  /// The owner's position, then those that follow it clockwise. At most once.
  awaitable<Result<std::vector<Position>>> run();

  /// What happened so far, whether or not it ended well.
  const std::vector<Hop>& hops() const { return hops_; }
  /// Positions whose nodes certainly did not answer.
  const std::vector<Position>& unreachable() const { return unreachable_; }

 private:
  /// Asks one; done: the positions found.
  awaitable<std::optional<std::vector<Position>>> ask(Candidates::Candidate candidate);

  Runtime& runtime_;
  Transport& transport_;
  Config config_;
  Id id_;
  Candidates candidates_;
  std::vector<Hop> hops_;
  std::vector<Position> unreachable_;
};

}  // namespace chordfs
