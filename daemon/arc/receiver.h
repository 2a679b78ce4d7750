#pragma once
// Receiver: the taker's side of a move (see Mover). Answers ArcOffer, ArcPage, ArcAppend, ArcTake.
// Owner: the node. Thread: the Runtime's.
// Errors: busy when this node has another part in the arc; not_permitted when it is leaving; stale when the generation
// is not (or no longer) the one under way, which for ArcTake is a durable refusal.

#include "daemon/arc/arcs.h"

namespace chordfs {

class Receiver {
 public:
  explicit Receiver(Arcs& arcs) : arcs_(arcs) {}

  /// Takes nothing from now on: this node is leaving.
  void refuse() { refusing_ = true; }

  awaitable<Result<Reply>> offer(wire::ArcOffer offer);
  awaitable<Result<Reply>> page(wire::ArcPage page);
  awaitable<Result<Reply>> append(wire::ArcAppend append);
  awaitable<Result<Reply>> take(wire::ArcTake take);

 private:
  /// The arc being received in this generation, held against other messages of the move until released.
  class Hold;
  Result<Hold> hold(ArcNumber arc, std::uint64_t generation);

  Arcs& arcs_;
  bool refusing_ = false;
};

}  // namespace chordfs
