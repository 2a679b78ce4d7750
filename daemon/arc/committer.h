#pragma once
// Committer: the one log of a node. Entries of all arcs that arrive while a sync is under way share the next one (group
// commit); what is durable is applied in order while the following group is being synced.
//
// With one member per arc an entry is committed once it is durable here; replication will put its quorum between
// the two halves.
// Owner: Arcs. Thread: the Runtime's; state machines run on the disk's.
// Errors: disk_full: not logged, the arc goes on. io_error: nothing more is written (an fsync that failed must not be
// tried again), `on_fatal` is told. corrupt: that arc stops serving.

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "daemon/arc/arc.h"
#include "daemon/arc/state_machine.h"
#include "daemon/store/disk.h"

namespace chordfs {

class Committer {
 public:
  Committer(Runtime& runtime, Disk& disk, std::shared_ptr<const StateMachine> machine, std::function<void(Error)> on_fatal);

  void start();
  awaitable<void> stop();

  /// Logs and applies one operation; returns the state machine's answer.
  awaitable<Result<std::string>> append(ArcPtr arc, std::string operation);
  /// Several, one after the other; returns once the last is applied, or with the first error.
  awaitable<Result<void>> append_all(ArcPtr arc, std::vector<std::string> operations);
  /// Applies entries that stand in the log already (after a restart).
  awaitable<Result<void>> replay(ArcPtr arc, std::vector<std::pair<std::uint64_t, std::string>> entries);

 private:
  struct Entry {
    ArcPtr arc;
    std::uint64_t index = 0;
    std::string operation;
    OneShot<Result<std::string>> done;
  };
  using Group = std::vector<Entry>;

  Result<void> open() const;
  OneShot<Result<std::string>> enqueue(ArcPtr arc, std::string operation);
  awaitable<void> log();
  awaitable<void> apply();
  awaitable<void> apply_group(Group group);
  void fail(Group& group, const Error& error);

  Disk& disk_;
  std::shared_ptr<const StateMachine> machine_;  ///< Shared with plans that outlive a cancelled wait.
  std::function<void(Error)> on_fatal_;
  std::deque<Entry> to_log_;
  std::deque<Group> to_apply_;
  Signal logging_, applying_;
  std::optional<Error> fatal_;
  TaskGroup tasks_;
};

}  // namespace chordfs
