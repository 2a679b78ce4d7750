#pragma once
// Nodes once met, remembered so that a restarted node finds its ring again and separated rings find each other; and
// nodes that just failed to answer, so that not each of our positions waits for the same timeout. Pure: `now` comes in.

#include <map>
#include <optional>
#include <vector>

#include "proto/client/lookup.h"

namespace chordfs {

/// Limits: kPeersMax entries. When full, a peer met in person replaces the one not heard of for longest.
class Peers {
 public:
  static constexpr std::size_t kPeersMax = 256;
  struct Peer {
    Uuid node;
    Endpoint at;
  };

  explicit Peers(const Uuid& self) : self_(self) {}

  /// It spoke to us: its address is certain, and it is alive.
  void met(const Uuid& node, const Endpoint& at);
  /// Someone else named it: an address that we already have is better.
  void heard_of(const Uuid& node, const Endpoint& at);
  void forget(const Uuid& node);
  /// Latest heard of first.
  std::vector<Peer> list() const;
  /// The first of those, at most so many, who are not suspected. Every lookup asks for them.
  std::vector<Peer> latest(std::size_t most, Time now) const;

  void suspect(const Uuid& node, Time until) { suspects_[node] = until; }
  bool suspected(const Uuid& node, Time now) const {
    auto found = suspects_.find(node);
    return found != suspects_.end() && found->second > now;
  }
  void clear_old_suspicions(Time now);

 private:
  struct Entry {
    Endpoint at;
    std::uint64_t heard = 0;
  };
  Uuid self_;
  std::uint64_t clock_ = 0;
  std::map<Uuid, Entry> peers_;
  std::map<Uuid, Time> suspects_;
};

}  // namespace chordfs
