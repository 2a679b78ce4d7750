#pragma once
// Mover: the holder's side of handing an arc to the node that the ring says owns it, while clients go on. The taker's
// side is Receiver. Steps, and why none of them can lose or fork an arc: daemon/arc/README.md.
//
// Owner: the node. Thread: the Runtime's. Errors stay inside: a move that fails is tried again in a later round.
// Limits: kMovesAtOnce arcs at a time; an arc is frozen only for its last step.

#include <map>
#include <set>

#include "daemon/arc/arcs.h"

namespace chordfs {

class Mover {
 public:
  /// Nodes, by their identities.
  using Nodes = std::set<std::string>;
  /// The node that should hold the arc; nothing if it is this one, or nobody knows. Those named take nothing now,
  /// because they are leaving themselves: of use to a node that must find somebody else.
  using Desired = std::function<awaitable<std::optional<wire::Peer>>(ArcNumber, Nodes)>;

  Mover(Arcs& arcs, wire::Peer self, Duration period, Desired desired);

  void start();
  awaitable<void> stop();
  /// Looks again at once: the ring has changed.
  void nudge() { wake_.notify_all(); }
  /// A leaving node moves without waiting for the ring to settle.
  void hurry() {
    hurry_ = true;
    nudge();
  }

 private:
  awaitable<void> rounds();
  awaitable<void> round();
  awaitable<void> run(ArcPtr arc, wire::Peer to);
  awaitable<Result<void>> move(ArcPtr arc, wire::Peer to);
  awaitable<Result<std::uint64_t>> send_records(ArcPtr arc, wire::Peer to, std::uint64_t generation);
  awaitable<Result<void>> send_blocks(ArcPtr arc, wire::Peer to, std::set<std::string>& sent);
  awaitable<Result<void>> send_block(ArcPtr arc, wire::Peer to, std::string block, std::uint32_t length);
  awaitable<Result<std::uint64_t>> send_log(ArcPtr arc, wire::Peer to, std::uint64_t generation, std::uint64_t from);
  awaitable<Result<void>> finish(ArcPtr arc);
  awaitable<Result<Reply>> call(wire::Peer to, Request request, Duration timeout);

  Arcs& arcs_;
  wire::Peer self_;
  Duration period_;
  Desired desired_;
  std::map<ArcNumber, std::string> wanted_;  ///< Whom the last round wanted to give an arc to.
  std::set<ArcNumber> moving_;
  std::map<std::string, int> moved_;  ///< Since the last line in the log.
  Nodes refusing_;                    ///< Are leaving, as they said; asked again when nobody else is left.
  bool hurry_ = false;
  Signal wake_;
  TaskGroup tasks_;
};

}  // namespace chordfs
