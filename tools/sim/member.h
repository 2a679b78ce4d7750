#pragma once
// Member: one node as one arc sees it, for the explorer (explore_members.cc): its Raft, its disk, the writes that are
// not durable yet. A value: events are asked of a copy. What Arcs do around a Raft is retold here in brief: they write,
// then say, make and end replicas, fetch records.
//
// Disks are quick: what an event made is durable before anything else happens, unless the event is `late`; then it
// waits for the node's next event, or is lost in a crash. Time is short: every timer runs out in one tick, so that a
// tick is a heartbeat of who leads, and an election begun by who does not.
// Thread: one. Errors: Did::wrong.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "daemon/arc/view_step.h"
#include "tools/sim/raft_disk.h"

namespace chordfs {

/// Node `number` of those explored, from 0 on, as a member.
Replica explored_replica(int number, Generation generation = {1, 1});
std::optional<int> explored_number(const Uuid& node);

class Member {
 public:
  struct Message {
    int from = 0, to = 0;
    wire::RaftMessage raft;
  };
  /// Besides what it made of the member.
  struct Did {
    std::vector<Message> said;
    std::vector<Generation> made;  ///< Durably.
    std::vector<std::pair<std::uint64_t, LogEntry>> erased;
    std::string wrong;  ///< I5, I6, I7, of what can be seen here.
  };
  /// Who should hold the arc, of whom the leader knows what.
  struct Wish {
    std::vector<int> desired;
    std::vector<int> leaving;
  };
  struct Seen {
    std::vector<bool> up;
    bool given_up = false;  ///< Who is not up has been silent for so long that it is to be replaced.
    bool overdue = false;   ///< The view has not committed for long.
  };

  explicit Member(int number) : number_(number) {}
  /// As of the beginning: voters have the records of index 1, and no log.
  void begin(const ArcView& view);

  // ---- Events; all but start() of a node that is up. ----
  Did deliver(const Message& message, bool late);
  Did tick(bool late);
  Did sync();
  void crash();
  Did start();
  Did propose(bool late);
  /// Takes the next step to what is wished, if it leads.
  Did change(const Wish& wish, const Seen& seen, bool late);
  /// The records of whom it wants them from; nothing comes if that one cannot give them.
  Did fetch(const Member& source);

  bool up() const { return up_; }
  bool unsynced() const { return !queue_.empty(); }
  const std::optional<Raft>& raft() const { return raft_; }
  const RaftDisk& disk() const { return disk_; }
  const std::optional<Replica>& wants() const { return wants_; }
  /// The step that change() would take.
  ViewStep next_view(const Wish& wish, const Seen& seen) const;
  std::string fingerprint() const;
  std::string text() const;

 private:
  struct Pending {
    bool create = false, gone = false;
    Generation generation;
    Raft::Write write;
    RaftDisk::Base base;
  };
  void boot(const Generation& generation, const Raft::HardState& hard, RaftLog log);
  void settle(Did& did, bool late);
  void put(Did& did, Pending pending);
  void say(Did& did, const Raft::Outgoing& out);

  int number_;
  bool up_ = true;
  RaftDisk disk_;
  std::deque<Pending> queue_;
  std::optional<Raft> raft_;
  std::optional<Replica> wants_;
  std::uint64_t promised_ = 0;  ///< The highest term that anybody heard from this store.
};

}  // namespace chordfs
