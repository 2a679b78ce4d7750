#pragma once
// Deadlocks: whether somebody who waits for a lock waits for himself: whoever holds it waits for a lock, too, and so
// on, until one is held by him. Followed from lock to lock: at a file's arc, who holds what is wanted there; at the arc
// of a session, what its owners wait for (each mount tells that of its own: WaitsOf).
//
// Never wrong: a circle counts once every part of it has been seen twice, one whole round after the other, each wait
// under the number of the first time. A wait is told of no longer before it ends, and whoever waits unlocks nothing, so
// between the two rounds all of them held. (With one exception that Linux shares: a program whose threads lock as one.)
// One of the circle is to give up: who began to wait last; and if the clocks do not tell, after kRoundsMax rounds, the
// highest.
//
// Owner: FileLocks. Thread: the Runtime's. Limits: kWaitsMax waits are followed.

#include <vector>

#include "fuse/fs/core.h"

namespace chordfs::fs {

class Deadlocks {
 public:
  explicit Deadlocks(Core& core) : core_(core) {}

  /// `rounds`: how often a circle has been found for this wait.
  awaitable<bool> must_give_up(wire::LockWait mine, int& rounds);

 private:
  static constexpr std::size_t kWaitsMax = 64;
  static constexpr int kRoundsMax = 4;
  using Waits = std::vector<wire::LockWait>;

  /// The circle, beginning with `mine`; empty if there is none.
  awaitable<Result<Waits>> find_circle(wire::LockWait mine);
  awaitable<Result<bool>> still_holds(Waits& circle);
  awaitable<Result<std::vector<wire::FileLock>>> blockers(wire::LockWait wait);
  awaitable<Result<Waits>> waits_of(wire::FileLock holder);

  Core& core_;
};

}  // namespace chordfs::fs
