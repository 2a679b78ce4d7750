#pragma once
// Messenger: what replicas say to replicas, one frame for each node at a time, whatever the arcs. It learns where nodes
// are from their own frames.
// Owner: Arcs. Thread: the Runtime's.

#include <functional>
#include <map>

#include "daemon/arc/raft/raft.h"
#include "proto/base/runtime.h"

namespace chordfs {

class Messenger {
 public:
  using Post = std::function<void(Endpoint, Request)>;
  Messenger(wire::Peer self, Post post) : self_(std::move(self)), post_(std::move(post)) {}

  void add(Raft::Outgoing message);
  void flush();
  /// Says in every frame from now on that this node is leaving.
  void leaving() { leaving_ = true; }

  void heard(const Uuid& node, Endpoint at, bool leaving, Time now);
  /// Where the node is, as far as it has said so.
  Endpoint address_of(const Replica& replica) const;
  bool is_leaving(const Uuid& node) const;
  /// The beginning of the clock if never.
  Time last_heard(const Uuid& node) const;

 private:
  struct Node {
    Endpoint at;
    bool leaving = false;
    Time heard{};
  };
  struct Waiting {
    Endpoint at;
    wire::RaftFrame frame;
    std::size_t bytes = 0;
  };
  void send(const Uuid& to, Waiting& waiting);

  wire::Peer self_;
  Post post_;
  bool leaving_ = false;
  std::map<Uuid, Node> nodes_;
  std::map<Uuid, Waiting> waiting_;
};

}  // namespace chordfs
