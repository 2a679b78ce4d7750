#pragma once
// LockWorker: a program that adds one to a counter in a file that everybody shares, under a lock: reads, adds, writes,
// unlocks. What was acknowledged before must be there, whoever held the lock, and however its mount ended (I24, I25).
// Now and then it wants both counters at once, in any order, so that it may be told of a deadlock; or is interrupted.
// Owner: a mount of the Workload. Thread: the world's. Private to Workload.

#include "tools/sim/rng.h"
#include "tools/sim/workload.h"

namespace chordfs {

class Workload::LockWorker {
 public:
  LockWorker(Workload& load, Runtime& runtime, FileSystem& files, std::uint32_t number);

  awaitable<void> run();
  awaitable<void> add();

 private:
  awaitable<bool> lock(Handle handle);
  awaitable<void> add_under_lock(std::size_t which, Handle handle);
  awaitable<Result<void>> unlock(Handle handle);
  wire::FileLock whole(wire::FileLock::Type type) const;

  Workload& load_;
  Runtime& runtime_;
  FileSystem& files_;
  const std::uint64_t owner_;
  Rng rng_;
};

}  // namespace chordfs
