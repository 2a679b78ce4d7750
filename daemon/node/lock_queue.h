#pragma once
// LockQueue: who waits for which lock of a file at this leader, in order of arrival; and LockWaits: what the sessions
// of an arc say that they wait for anywhere, for whoever looks for a deadlock. Soft state: lost with leadership and
// told anew by those who still wait. Whoever came first is let through first, but not at any price: behind one who does
// not come to take what is free a waiter stands kYieldFor at most, because waiting for a waiter could be a deadlock
// that nobody would find. Pure. Owner: LockService. Thread: the Runtime's.

#include <list>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/node/soft_state.h"
#include "proto/wire/tree.pb.h"

namespace chordfs {

inline constexpr Duration kYieldFor = 500ms;
inline constexpr std::size_t kQueueMax = 1000;
/// A waiter that has not asked for so long has gone.
inline constexpr Duration kWaiterAge = 1500ms;

class LockQueue {
 public:
  struct Waiter {
    Session session = 0;
    std::uint64_t number = 0;  ///< The session's.
    wire::FileLock lock;
  };

  /// Keeps the place that it has. Where kQueueMax wait already it gets none, and takes its chance.
  void join(std::uint64_t ino, const Waiter& waiter, Time now);
  void leave(std::uint64_t ino, Session session, std::uint64_t number);
  void drop(Session session);
  /// Somebody who asks now would pass by one that waits for what conflicts.
  bool is_wanted(std::uint64_t ino, const wire::FileLock& lock, Time now) const;
  /// Nobody holds it; is it this one's turn? Otherwise until when it has to yield at most.
  std::optional<Time> must_yield(std::uint64_t ino, Session session, std::uint64_t number, Time now);
  bool empty() const { return queues_.empty(); }
  void expire(Time now);

 private:
  struct Place {
    Waiter waiter;
    Time seen;
    std::optional<Time> free_since;
  };
  static bool is_gone(const Place& place, Time now) { return place.seen + kWaiterAge <= now; }

  std::map<std::uint64_t, std::list<Place>> queues_;
};

class LockWaits {
 public:
  void told(const wire::LockWait& wait, Time now);
  void ended(const wire::LockWait& wait);
  void drop(Session session);
  std::vector<wire::LockWait> of(Session session, std::uint64_t owner, Time now) const;
  void expire(Time now);
  bool empty() const { return owners_.empty(); }

 private:
  struct Told {
    wire::LockWait wait;
    Time at;
  };
  std::map<std::pair<Session, std::uint64_t>, std::map<std::uint64_t, Told>> owners_;
};

}  // namespace chordfs
