#pragma once
// What an arc's leader knows without the log: who has what open, which sessions were heard when, which transactions
// are under way. Lost with leadership and gathered again: clients repeat what they have open every kSessionRenewEvery,
// and a new leader waits kSessionTtl before it concludes anything from silence.
// Pure. Owner: TreeService. Thread: the Runtime's.

#include <map>
#include <set>
#include <vector>

#include "proto/client/client.h"
#include "proto/id/id.h"

namespace chordfs {

using Session = std::uint64_t;

class OpenFiles {
 public:
  void opened(ArcNumber arc, std::uint64_t ino, Session session, Time now) { arcs_[arc][ino][session] = now; }
  bool is_open(ArcNumber arc, std::uint64_t ino, Time now) const;
  /// Forgets what was not repeated for kSessionTtl.
  void expire(ArcNumber arc, Time now);
  void drop(ArcNumber arc) { arcs_.erase(arc); }
  void drop(ArcNumber arc, Session session);

 private:
  std::map<ArcNumber, std::map<std::uint64_t, std::map<Session, Time>>> arcs_;
};

class KnownSessions {
 public:
  /// The session was seen open in its own arc, and has left its mark in this one.
  void verified(ArcNumber arc, Session session) { arcs_[arc].insert(session); }
  bool is_verified(ArcNumber arc, Session session) const {
    auto found = arcs_.find(arc);
    return found != arcs_.end() && found->second.contains(session);
  }
  void heard(Session session, Time now) { heard_[session] = now; }
  /// Silent for kSessionTtl, counted from `led_since` at the earliest.
  bool is_silent(Session session, Time led_since, Time now) const;
  void drop(ArcNumber arc) { arcs_.erase(arc); }
  void drop(ArcNumber arc, Session session) { arcs_[arc].erase(session); }
  void forget(Session session) { heard_.erase(session); }

 private:
  std::map<ArcNumber, std::set<Session>> arcs_;
  std::map<Session, Time> heard_;
};

}  // namespace chordfs
