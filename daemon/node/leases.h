#pragma once
// Leases: what mounts may answer again without asking (replication.md 4.10, level 2). A lease is of a session on an
// inode: its attributes, its contents' layout, and of a directory all entries, also those that are not there. Before an
// arc changes anything that others hold, they are told (the answer to their RenewLeases), and it waits until they have
// let go or their leases have run out.
//
// Why no cached answer is older than an acknowledged change (I26):
// 1. Granted only for what was read after a majority had said that we lead, and only if no change of the inode began
//    since before the read (Mark). Changes hold off grants from before they look for holders until they are applied.
// 2. A lease holds for kLeaseFor from the moment that its renewal was sent; we count kLeaseHold from when it came.
// 3. Renewed only once a majority, after the renewal came, has heard that we lead and grant leases (Raft::lease). A new
//    leader changes nothing before kLeaseTicks after any voter of its majority heard that (Raft::lease_wait).
// Soft state throughout: lost with leadership. Nothing but the rate of clocks is assumed, and cached reads alone depend
// on it.
//
// Writing is the other half. A session that goes on writing a file is its writer: that stands in the file's record
// (wire::Attr::writer), so that no leader forgets it. It may keep what it writes to itself while its lease on the arc
// holds. Before anybody else is told of the file, or changes it, the writer is asked to commit what it has (a recall
// like any other); one that is not heard of for kWriterGrace is not waited for: what it has it may still commit later,
// unless somebody else has written meanwhile (Errc::overtaken).
//
// Owner: TreeService. Thread: the Runtime's.
// Errors: busy when holders have neither let go nor run out in time.
// Requests come late and twice: only what is said under the incarnation itself lets go of its leases, or time.
// Limits: kLeasesMax inodes of an incarnation; when there are more the mount begins another.

#include <map>
#include <set>

#include "daemon/arc/arcs.h"
#include "daemon/node/soft_state.h"
#include "proto/client/leases.h"

namespace chordfs {

/// Longer than kLeaseFor by as much as clocks may differ (one runs at 0.8, one at 1.25); no longer than kLeaseTicks − 1
/// ticks.
inline constexpr Duration kLeaseHold = 800ms;
static_assert(kLeaseHold <= (kLeaseTicks - 1) * kRaftTick && kLeaseFor < kLeaseHold);
inline constexpr std::size_t kLeasesMax = 200'000;
/// For how long a silent writer is waited for: another leader may have to be found first. And one that is heard of.
inline constexpr Duration kWriterGrace = 2s, kWriterFlushMax = 10s;

class Leases {
 public:
  /// Of what one mount holds of this node, from when it began until it ran out. 0: none.
  using Incarnation = std::uint64_t;

  Leases(Runtime& runtime, Arcs& arcs, const Client& client, OpenFiles& open_files)
      : runtime_(runtime), arcs_(arcs), client_(client), opens_(open_files) {}

  awaitable<Result<Reply>> renew(wire::RenewLeases request);

  /// Taken before a read; with it grant() knows whether anything changed since.
  struct Mark {
    std::uint64_t term = 0;  ///< 0: nothing can be granted.
    std::uint64_t change = 0;
  };
  Mark mark(ArcNumber arc) const;
  /// Its mount holds all of these inodes from now on, if that can be: the answer then says so.
  void grant(ArcNumber arc, const Mark& mark, Incarnation incarnation, const std::vector<std::uint64_t>& inos,
             wire::QueryAnswer& answer);

  class Change;
  /// The same for whoever has just made this change: what its answer tells of the inodes is what is so.
  void grant(const Change& change, std::uint64_t term, Incarnation incarnation, wire::Answer& answer);

  /// While it lives nothing is granted of what it is about to change.
  class Change {
   public:
    Change(Leases& leases, ArcNumber arc, std::set<std::uint64_t> inos);
    ~Change();
    Change(const Change&) = delete;
    /// The change stands in the log and may still happen: until it has, or never will, nothing is granted.
    void unknown();

   private:
    friend class Leases;
    Leases& leases_;
    const ArcNumber arc_;
    const std::set<std::uint64_t> inos_;
  };
  /// Whoever changes something forgets by himself what he was granted before. Later grants are recalled from him, too:
  /// his request may be an old one that nobody waits for any more.
  struct Changer {
    Incarnation incarnation = 0;
    std::uint64_t number = 0;
  };
  /// Returns when nobody else holds them; `unlinks`: and what others may have open has been noted.
  awaitable<Result<void>> recall(ArcNumber arc, std::set<std::uint64_t> inos, Changer changer, bool unlinks,
                                 Time until);

  /// The writer of this file is asked to commit what it has, and to write no more behind. True: it has, or is waited
  /// for no longer, and can be ended as a writer. To be asked again after a wait.
  bool writer_is_done(const wire::Attr& file);
  /// Somebody waits for its writer.
  bool is_waited_for(std::uint64_t ino) const { return writings_.contains(ino); }
  /// Until a mount has let go of something, or for a moment.
  awaitable<void> wait_for_letting_go();

  /// In which we lead the arc; 0: we do not.
  std::uint64_t term_of(ArcNumber arc) const;

  void led(ArcNumber arc);
  /// Ends leases that nobody renewed.
  void expire();

 private:
  struct Recall {
    std::uint64_t number = 0;
    bool writing = false;  ///< Of what it writes, not only of what it knows.
  };
  struct Holder {
    Session session = 0;
    Time renewed{};
    bool full = false;
    std::uint64_t grants = 0;
    std::map<std::uint64_t, std::uint64_t> inos;  ///< With the number of the grant.
    std::map<std::uint64_t, Recall> recalled;     ///< By inode; until the session is done.
    Signal news;
  };
  struct ArcState {
    Time changes_from{};        ///< What a former leader granted has run out.
    std::uint64_t unknown = 0;  ///< Up to this index of the log there are changes of unknown outcome.
    std::uint64_t floor = 0;    ///< Inodes that are not in `changed` were changed then, perhaps.
    std::map<std::uint64_t, std::uint64_t> changed;
    std::map<std::uint64_t, int> changing;
  };
  /// Of a file whose writer is waited for.
  struct Writing {
    Session writer = 0;
    std::uint64_t written_as = 0;
    Time since{}, asked{};
    std::map<Incarnation, std::uint64_t> recalls;  ///< Their numbers.
    bool done = false;
  };
  /// Null: nothing can be granted to it.
  Holder* holder_for(Incarnation incarnation, std::size_t inodes);
  template <class Answer>
  void grant(Holder& holder, Incarnation incarnation, const std::vector<std::uint64_t>& inos, std::uint64_t term,
             Answer& answer);
  std::uint64_t ask_back(Holder& holder, std::uint64_t ino, bool writing);
  bool runs(const Holder& holder) const { return runtime_.now() < holder.renewed + kLeaseHold; }
  void let_go(Incarnation incarnation, Holder& holder, std::uint64_t ino);
  void note_change(ArcState& state, std::uint64_t ino);

  Runtime& runtime_;
  Arcs& arcs_;
  const Client& client_;
  OpenFiles& opens_;
  std::map<Incarnation, std::shared_ptr<Holder>> holders_;
  std::map<std::uint64_t, std::set<Incarnation>> held_;  ///< By inode.
  std::map<ArcNumber, ArcState> states_;
  std::map<std::uint64_t, Writing> writings_;  ///< By inode.
  std::map<Session, Time> silent_;             ///< Writers that are not heard of, and since when that is known.
  std::uint64_t changes_ = 0, recalls_ = 0;
  Signal let_go_;
};

/// The inodes whose leases these steps touch; true if one of them takes a name away.
bool touched(const google::protobuf::RepeatedPtrField<wire::Step>& steps, std::set<std::uint64_t>& inos);

}  // namespace chordfs
