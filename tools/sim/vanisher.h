#pragma once
// Vanisher: a mount that is killed, or stops for a while, in the middle of its writing, again and again: its blocks are
// stored and their commit never comes, or comes when the session may be over. What its one file holds nobody asks; that
// it can be read, and that of what it left behind everything goes, the Auditor asks.
//
// Owner: the Workload. Thread: the world's. Private to Workload.

#include "tools/sim/rng.h"
#include "tools/sim/workload.h"

namespace chordfs {

class Workload::Vanisher {
 public:
  Vanisher(Workload& load, std::uint32_t number);

  /// Mounts and makes the file; before any fault. Runs the world.
  void prepare();
  /// From now on it is struck.
  void begin() { strike_later(); }
  /// Dies for good, in the middle of whatever it does. Before destruction; may be called twice.
  void end();
  std::uint64_t deaths() const { return deaths_; }

 private:
  class Mount;
  void strike_later();
  void strike();

  Workload& load_;
  const std::uint32_t number_;
  Rng rng_;
  SimHost* host_ = nullptr;
  Ino file_ = 0;
  std::uint64_t deaths_ = 0;
  std::optional<EventQueue::Id> next_;
};

}  // namespace chordfs
