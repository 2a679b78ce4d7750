#pragma once
// ViewChanger: moves every arc that this node leads, step by step, towards the members that the ring wants
// (view_step.h), and its leadership towards the first of them.
// Owner: Arcs, of which it is a part. Thread: the Runtime's. Errors stay inside: what failed is looked at again.

#include <map>

#include "daemon/arc/arc.h"
#include "daemon/arc/view_step.h"
#include "proto/base/task.h"

namespace chordfs {

class Arcs;

class ViewChanger {
 public:
  explicit ViewChanger(Arcs& arcs);

  void start();
  awaitable<void> stop();
  /// Looks at all arcs again at once: the ring has changed, or this node leaves.
  void nudge() {
    ++news_;
    wake_.notify_all();
  }

  /// As far as the leader knows the member has every record and every block.
  bool complete(const ArcPtr& arc, const Replica& member) const;

 private:
  awaitable<void> rounds();
  awaitable<void> look(ArcPtr arc);
  awaitable<void> round(ArcPtr arc);
  bool take(const ArcPtr& arc, ViewStep step);
  awaitable<void> make_whole(ArcPtr arc, Replica learner, std::uint64_t term);

  Arcs& arcs_;
  std::uint64_t news_ = 0;
  Semaphore looks_;
  Signal wake_;
  TaskGroup tasks_;
};

}  // namespace chordfs
