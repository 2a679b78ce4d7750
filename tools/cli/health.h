#pragma once
// Health: how many copies of everything there are, as `chordfs status` and `chordfs can-stop` tell it, computed from
// what the nodes say of themselves. Pure but for look_at_health(). Thread: main's.

#include <boost/json/object.hpp>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/client/ring_client.h"

namespace chordfs::cli {

struct NodeHealth {
  /// suspect: answers us, but others have heard nothing of it for a while. down: an arc counts on it, and it does not
  /// answer.
  enum class State { up, suspect, down };
  State state = State::up;
  bool leaving = false;
  Endpoint at;
  std::string node;  ///< Its identity in hexadecimal; empty: nobody says it.
  std::string zone;
};

/// One arc, as its leader sees it.
struct ArcHealth {
  enum class Copies { all, majority, no_majority };
  struct Member {
    std::string node;  ///< As in NodeHealth.
    bool learner = false, live = false, complete = false;
    bool votes_old = true, votes_new = true;  ///< Voters: in which of the sets; they differ in a joint view.
    std::uint64_t bytes_left = 0;

    bool whole() const { return live && complete; }
  };
  bool led = false;  ///< By somebody who answers.
  std::vector<Member> members;

  /// So many voters that are there and hold everything could be lost, beginning now, and a majority of them would be
  /// left; less than 0: it is lacking already. In a joint view: of both sets.
  int tolerance() const;
  /// The same, without this one.
  int tolerance_without(const std::string& node) const;
  bool votes(const std::string& node) const;
  Copies copies(std::size_t wanted) const;
};

struct Health {
  Uuid ring;
  int replicas = 0;
  bool relaxed = false;
  std::vector<NodeHealth> nodes;                     ///< By host and port.
  std::vector<ArcHealth> arcs;                       ///< By number.
  std::map<std::string, std::set<ArcNumber>> parts;  ///< What each node says that it is a member of.

  std::size_t count(NodeHealth::State state) const;
  std::size_t count(ArcHealth::Copies copies) const;
  /// Copies of each arc that this ring can have: as many as it was made for, or as it has nodes that stay.
  std::size_t wanted() const;
  std::size_t learners() const;  ///< Being filled.
  std::uint64_t bytes_left() const;
  /// The largest N such that any N of the nodes may be lost now and every arc keeps a majority.
  int can_lose() const;
  /// All copies are there, and nobody of whom an arc counts on is down.
  bool well() const;
};

Health health_of(const Uuid& ring, const ArcMap& arcs, const std::vector<wire::Status>& statuses);
/// Nodes that an arc counts on, or that others suspect, and that have not answered: worth a question of their own.
std::vector<Endpoint> not_heard(const std::vector<wire::Status>& statuses);

/// What will be copied in which time, told from what was left at each look. Pure: time comes in.
class Filling {
 public:
  static constexpr Duration kWindow = 10s;
  void left(std::uint64_t bytes, Time now);
  /// Bytes a second; nothing before two looks, or while more comes than goes.
  std::optional<double> rate() const;
  std::optional<Duration> time_left() const;

 private:
  struct Look {
    Time at;
    std::uint64_t left;
  };
  std::deque<Look> looks_;
};

/// What a person reads: several lines.
std::string text_of(const Health& health, const Filling& filling);
/// "you can lose any 2 nodes now"; and plainly what a small ring cannot survive.
std::vector<std::string> what_may_be_lost(const Health& health);
boost::json::object to_json(const Health& health, const Filling& filling);

/// May this node stop?
struct StopAdvice {
  std::size_t broken = 0;            ///< Arcs that would be without a majority.
  std::vector<Endpoint> waited_for;  ///< Nodes that vote in them and are not there, or not complete.
  bool may() const { return broken == 0; }
};
StopAdvice advice(const Health& health, const std::string& node);

/// Asks every node, and those that an arc counts on by name.
awaitable<Result<Health>> look_at_health(RingClient& client);
/// The one that a person means, up or down. Errors: invalid (no node of this ring).
Result<NodeHealth> find_in(const Health& health, const std::string& typed);

}  // namespace chordfs::cli
