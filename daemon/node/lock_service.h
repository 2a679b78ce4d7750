#pragma once
// LockService: programs that wait for locks of files, at the leaders of the files' arcs; and, at those of their
// sessions' arcs, what they wait for (to find deadlocks). The locks themselves are records (daemon/tree/file_locks.h).
// A waiter asks again and again (AwaitLock): each time it is answered as soon as nothing is in its way, or after
// kPollMax. So nothing here needs to be remembered for it, but for its turn.
//
// Owner: TreeService. Thread: the Runtime's. Errors: not_owner.

#include <functional>
#include <map>
#include <memory>

#include "daemon/arc/arcs.h"
#include "daemon/node/lock_queue.h"

namespace chordfs {

class LockService {
 public:
  /// Less than a client's patience, so that it hears of us and not silence.
  static constexpr Duration kPollMax = 500ms;

  LockService(Runtime& runtime, Arcs& arcs) : runtime_(runtime), arcs_(arcs) {}

  /// Is asked for each session that is in somebody's way: has it ended?
  using Doubt = std::function<void(Session)>;
  awaitable<Result<wire::QueryAnswer>> await_lock(ArcNumber arc, wire::AwaitLock wanted, Doubt doubt);
  awaitable<Result<wire::QueryAnswer>> tell_wait(ArcNumber arc, wire::TellWait told);
  awaitable<Result<wire::QueryAnswer>> waits_of(ArcNumber arc, wire::WaitsOf whose);

  /// Somebody who is ready to wait does not pass by those who wait already.
  void put_in_line(ArcNumber arc, Session session, wire::Part& part);
  /// A part of one arc was applied: who waits for what it unlocks looks again.
  void applied(ArcNumber arc, Session session, const wire::Part& part);
  /// The session's locks in this arc are gone.
  void ended(ArcNumber arc, Session session);
  /// Forgets those who have gone. Call now and then.
  void expire();
  /// This node began to lead the arc.
  void drop(ArcNumber arc) { here_.erase(arc); }

 private:
  struct Watched {
    std::uint64_t changes = 0;
    Signal changed;
    int watchers = 0;
  };
  struct Here {
    LockQueue queue;
    LockWaits waits;
    std::map<std::uint64_t, std::shared_ptr<Watched>> inodes;  ///< Those that somebody waits at.
  };
  class Watch;

  static void changed(Here& here, std::uint64_t ino);
  /// Nothing: it is free for him. Otherwise what is in the way, and until when to wait for a change at most.
  awaitable<Result<wire::QueryAnswer>> look(ArcNumber arc, const wire::AwaitLock& wanted);

  Runtime& runtime_;
  Arcs& arcs_;
  std::map<ArcNumber, std::shared_ptr<Here>> here_;
};

}  // namespace chordfs
