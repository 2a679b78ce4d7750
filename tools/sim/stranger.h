#pragma once
// Stranger: a node of another ring, with a disk of its own, which for a while stands at an address where a member of
// ours stood: addresses are given to others, machines come back with other disks. Its door is watched:
//   I31 two nodes of different rings never exchange state. Whoever names a ring is refused by a node of another, in
//       both directions; what is posted is watched as a call, for a refusal shows nowhere else.
//
// Owner: RingWorld; its incarnations are the host's. Thread: the world's. Errors: to RingWorld::violation.

#include "tools/sim/disk.h"
#include "tools/sim/host.h"

namespace chordfs {

class RingWorld;

class Stranger {
 public:
  explicit Stranger(RingWorld& ring);

  /// The next incarnation, at that address. Without `via` it resumes its ring (or founds it, the first time); with it,
  /// somebody had it join ours by mistake.
  std::unique_ptr<Program> program(Runtime& runtime, Transport& transport, Endpoint self, std::vector<Endpoint> via);
  void crash(Crash kind) { disk_.crash(kind); }

  /// Times that one ring knocked at the other's door and was refused.
  std::uint64_t refused() const { return refused_; }

 private:
  class Door;
  class NodeProgram;

  RingWorld& ring_;
  SimDisk disk_;
  std::uint64_t refused_ = 0;
};

}  // namespace chordfs
