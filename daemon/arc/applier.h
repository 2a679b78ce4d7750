#pragma once
// Applier: applies what is committed and durable here to the records, all arcs together, in order; resolves those who
// wait for answers; cuts logs that have grown long. The effects are one unsynced batch behind the synced log in the
// same write-ahead log: a crash keeps a prefix, and what is missing is applied again. Owner: Arcs. Thread: the
// Runtime's; state machines run on the disk's. Errors: any of the disk is fatal; a corrupt record stops the node
// (`on_fatal`).

#include <functional>
#include <map>

#include "daemon/arc/arc.h"
#include "daemon/arc/state_machine.h"
#include "daemon/store/disk.h"

namespace chordfs {

class Applier {
 public:
  struct Hooks {
    std::function<void(const ArcPtr&)> applied;
    std::function<void(Error)> fatal;
  };
  Applier(Runtime& runtime, Disk& disk, std::shared_ptr<const StateMachine> machine, Hooks hooks);

  void start();
  awaitable<void> stop();

  /// The arc may have something to apply.
  void add(ArcPtr arc);

 private:
  awaitable<void> loop();
  awaitable<bool> round();

  Runtime& runtime_;
  Disk& disk_;
  std::shared_ptr<const StateMachine> machine_;  ///< Shared with plans that outlive a cancelled wait.
  Hooks hooks_;
  std::map<ArcNumber, ArcPtr> arcs_;  ///< By number: the order must not hang on addresses.
  Signal added_;
  TaskGroup tasks_;
};

}  // namespace chordfs
