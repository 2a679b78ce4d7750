#pragma once
// Raft: one replica of one arc: a pure state machine (Ongaro, "Consensus: bridging theory and practice", 2014). Events
// go in (a tick, a message, a proposal, "that write is durable"); out come one write for the disk and messages. No
// clock, no network, no disk, no randomness of its own. daemon/arc/README.md says what is ours: generations, durable
// acknowledgements, who may campaign.
//
// Owner: Arcs (or a test). Thread: the Runtime's. After any event: take_write(), write it, in order, durably; when it
// is, persisted(); and take_messages() and send those. Apply entries up to committed_here().
// Errors: a message that makes no sense is dropped; one that contradicts what is committed here sets fault().
// Limits: kAppendBytesMax in one message; kInFlightMax bytes sent to a member and not acknowledged.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/arc/raft/log.h"
#include "daemon/arc/raft/view.h"

namespace chordfs {

/// In ticks. A tick is kRaftTick of the runtime's clock.
struct RaftOptions {
  int election = 8;  ///< Silence of a leader before others think of an election; more by rank and by chance.
  int rank_step = 2;
  int heartbeat = 2;
  /// --durability relaxed: operations are acknowledged once they are written; a leader syncs within a tick what waits.
  bool relaxed = false;
};

/// What a leader granted before others chose a new one has run out when it is this long since a majority heard it say
/// that it grants leases; kLeaseHold (daemon/node/leases.h) is less.
inline constexpr int kLeaseTicks = 9;
/// Raft::live(): heard less than so many ticks ago.
inline constexpr int kLiveTicks = 10;

class Raft {
 public:
  enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };

  struct HardState {
    std::uint64_t term = 0;
    Uuid vote;
    /// The machine lost power: what this replica acknowledged before this term may be lost (README). 0: it has it all.
    std::uint64_t doubt = 0;
  };
  struct Start {
    ArcNumber arc = 0;
    Replica self;
    HardState hard;
    RaftLog log;
    std::uint64_t applied = 0;            ///< Committed, as far as this node knows by itself.
    std::optional<std::uint64_t> stable;  ///< Less than the base: what lies between may have been taken back elsewhere.
    bool passive = false;
  };
  /// What is to be durable, all of it together, after all earlier writes.
  struct Write {
    std::uint64_t id = 0;
    std::optional<HardState> hard;
    bool new_base = false;                  ///< A snapshot was installed: put base(), and that all up to it is applied.
    std::optional<std::uint64_t> truncate;  ///< First erase the entries from this index on.
    std::uint64_t first = 0;                ///< Index of entries.front().
    std::vector<LogEntry> entries;
    /// Nothing that must be synced before persisted().
    bool may_be_late() const;
  };
  struct Outgoing {
    Replica to;
    wire::RaftMessage message;
  };
  /// What a leader knows of a member.
  struct Progress {
    std::uint64_t match = 0;  ///< Durable there, and equal.
    std::uint64_t next = 1;
    bool probing = true;   ///< Where its log leaves ours is not known: one message at a time.
    bool waiting = false;  ///< Probing: the one message is under way.
    bool snapshot = false;
    std::uint64_t round = 0;
    int silent = 0;  ///< Ticks since it was heard.
    std::size_t in_flight = 0;
    std::deque<std::pair<std::uint64_t, std::size_t>> sent;  ///< Last index and bytes of what is in flight.
  };

  Raft(Start start, std::function<std::uint64_t(std::uint64_t below)> random, RaftOptions options = {});

  // ---- Events. ----

  void tick();
  void step(const Uuid& from, const wire::RaftMessage& message);
  void persisted(std::uint64_t write);
  /// That node's process has died, says who talked to it. If it led, no silence need be waited out. Soft: if it is
  /// wrong it costs an election at most.
  void died(const Uuid& node);
  /// Leader only, otherwise nothing: appends, returns the index. Also nothing while leadership is being handed over.
  std::optional<std::uint64_t> propose(std::string operation, EntryKind kind = EntryKind::operation);
  /// Leader only. New members are those whose generation is {0, 0}: they get theirs here. False if the last view is
  /// not committed yet (unless `next` takes back a joint one), or nothing of this term is.
  bool propose_view(ArcView next);
  /// Leader only: an entry whose commit says that all before it is synced on a majority.
  std::optional<std::uint64_t> propose_sync();
  /// Hands leadership to a voter that has everything. False if it has not.
  bool transfer(const Uuid& to);
  /// A number that confirmed_round() will reach once a majority has said, after this call, that we lead.
  std::uint64_t request_round();
  /// The records were replaced by those of `index`; true if the log goes on from there (take_write has it).
  /// Relaxed: of these `stable` were synced on a majority.
  bool install(std::uint64_t index, std::uint64_t term, ArcView view, std::uint64_t view_index,
               std::optional<std::uint64_t> stable = {});
  /// Leader only: from the next confirmed round on it may grant leases. False while it is about to hand over.
  bool lease();
  /// Ticks, from when this replica was elected, until what a former leader granted has run out.
  int lease_wait() const { return lease_wait_; }
  /// A passive replica does not campaign: its records are not whole.
  void set_passive(bool passive) { passive_ = passive; }
  /// Forgets log entries that are applied and durable.
  void cut(std::uint64_t index) { log_.cut(index); }

  // ---- Results. ----

  std::optional<Write> take_write();
  std::vector<Outgoing> take_messages();
  bool wants_to_write() const;

  ArcNumber arc() const { return arc_; }
  const Replica& self() const { return self_; }
  Role role() const { return role_; }
  bool leads() const { return role_ == Role::leader; }
  /// Leads, and something of its own term is committed: what it knows as committed is all that is.
  bool ready() const { return leads() && commit_ >= first_of_term_; }
  bool transferring() const { return transfer_.has_value(); }
  std::uint64_t term() const { return hard_.term; }
  const Uuid& vote() const { return hard_.vote; }
  const std::optional<Replica>& leader() const { return leader_; }
  const RaftLog& log() const { return log_; }
  const ArcView& view() const { return log_.view(); }
  std::uint64_t view_index() const { return log_.view_index(); }
  bool view_committed() const { return log_.view_index() <= commit_; }
  const ArcView& committed_view() const { return log_.view_at(commit_); }
  std::uint64_t commit() const { return commit_; }
  std::uint64_t durable() const { return durable_; }
  /// Synced on a majority: nothing up to here can be lost.
  std::uint64_t stable() const { return options_.relaxed ? stable_ : commit_; }
  /// Relaxed: this entry was committed here, and a majority that lost power has another. The log is to be cut off
  /// before it and the records fetched anew (Arcs::roll_back). Nothing else happens to this replica any more.
  std::optional<std::uint64_t> diverged() const { return diverged_; }
  bool in_doubt() const { return hard_.doubt != 0; }
  /// Committed and durable here: may be applied.
  std::uint64_t committed_here() const;
  std::uint64_t confirmed_round() const;
  const Progress* progress(const Replica& member) const;
  bool live(const Replica& member) const;
  /// A majority has been heard within the last few heartbeats.
  bool heard_majority() const;
  /// What install() did is on disk.
  bool installed() const { return !base_dirty_ && base_write_ <= persisted_; }
  bool passive() const { return passive_; }
  bool gone() const { return gone_; }
  /// The leader whose records this replica must fetch; cleared by being asked.
  std::optional<Replica> take_wanted_snapshot();
  bool heard_leader() const { return leader_.has_value() && silence_ < options_.election; }
  /// Ticks since a leader was heard.
  int leaderless() const { return leads() ? 0 : leaderless_; }
  const std::optional<std::string>& fault() const { return fault_; }
  /// Everything that decides what this replica does from here on, as bytes: two with equal ones act alike. What only
  /// grows (writes, epochs, silence beyond every timeout) counts as far as anything is compared with it. For whoever
  /// explores all that can happen; a replica can be copied, too.
  std::string fingerprint() const;

 private:
  using Key = std::pair<Uuid, Generation>;
  static Key key(const Replica& replica) { return {replica.node, replica.generation}; }

  // raft.cc
  void send(const Replica& to, wire::RaftMessage message);
  void become_follower(std::uint64_t term, std::optional<Replica> leader);
  void set_hard(std::uint64_t term, const Uuid& vote);
  bool append(LogEntry entry);
  void reset_timer();
  void commit_up_to(std::uint64_t index);
  // raft_election.cc
  bool electable() const;
  void campaign(bool pre, bool transfer);
  void won();
  void tick_follower();
  bool up_to_date(const wire::RaftMessage& message) const;
  void on_pre_vote(const Replica& from, const wire::RaftMessage& message);
  void on_vote(const Replica& from, const wire::RaftMessage& message);
  void on_vote_reply(const Replica& from, const wire::RaftMessage& message, bool pre);
  void on_timeout_now(const wire::RaftMessage& message);
  void count_votes();
  int rank() const;
  // raft_follower.cc
  void follow(const Replica& from);
  void on_append(const Replica& from, const wire::RaftMessage& message);
  void on_snapshot(const Replica& from, const wire::RaftMessage& message);
  bool take_entries(const wire::RaftMessage& message);
  void acknowledge(const Replica& to, std::uint64_t round);
  void reject(const Replica& to, const wire::RaftMessage& message);
  // raft_leader.cc
  void tick_leader();
  void on_append_reply(const Replica& from, const wire::RaftMessage& message);
  void broadcast(bool heartbeat);
  void send_append(const Replica& to, Progress& progress, bool heartbeat);
  void advance_commit();
  bool may_contact(const Replica& member) const;
  Progress& progress_of(const Replica& member);
  void tell_gone(const Replica& to);
  void step_down_if_removed();

  const ArcNumber arc_;
  const Replica self_;
  const std::function<std::uint64_t(std::uint64_t)> random_;
  const RaftOptions options_;

  Role role_ = Role::follower;
  HardState hard_;
  RaftLog log_;
  std::uint64_t commit_ = 0;
  std::uint64_t durable_ = 0;  ///< The log is on disk up to here.
  std::uint64_t agreed_ = 0;   ///< Equal to the log of leader_ up to here.
  std::uint64_t acknowledged_ = 0;
  std::optional<Replica> leader_;
  std::optional<Replica> wanted_snapshot_;
  bool passive_ = false;
  bool gone_ = false;
  std::optional<std::string> fault_;
  std::optional<std::uint64_t> diverged_;
  std::uint64_t stable_ = 0;

  // Timers, in ticks.
  int silence_ = 0;       ///< Since a leader was heard or an election began.
  int since_leases_ = 0;  ///< Since a leader said that it grants leases, or this one did; a new process cannot know.
  int leaderless_ = 0;
  int timeout_ = 0;
  int since_heartbeat_ = 0;
  int since_check_ = 0;
  int since_knock_ = 0;
  /// A leader that is said to have died, and for how long what it had sent before may still come in.
  std::optional<Replica> mourned_;
  int mourning_ = 0;
  int hurries_ = 0;  ///< Pre-votes that do not wait for a whole timeout.

  std::map<Key, int> votes_;  ///< With since_leases.
  std::set<Key> doubtful_;    ///< Voters that said so, whether they voted for us or not.
  // As leader.
  std::map<Key, Progress> progress_;
  std::uint64_t first_of_term_ = 0;
  std::uint64_t rounds_wanted_ = 0, rounds_started_ = 0;
  bool leasing_ = false;
  int lease_wait_ = 0;
  int lease_pause_ = 0;  ///< Leadership is wanted elsewhere: no leases for so many ticks.
  std::optional<Uuid> transfer_;
  int transfer_ticks_ = 0;
  int transfer_rest_ = 0;   ///< Ticks until leadership is offered again, after an offer that was not taken,
  int transfer_pause_ = 0;  ///< and after the next such offer.

  // Between memory and disk.
  struct InFlight {
    std::uint64_t id, epoch, last;
    bool hard;
  };
  bool hard_dirty_ = false;
  bool base_dirty_ = false;
  std::optional<std::uint64_t> truncate_;
  std::uint64_t written_ = 0;  ///< Handed out to be written up to this index.
  std::uint64_t writes_ = 0, persisted_ = 0, hard_write_ = 0, base_write_ = 0;
  std::uint64_t epoch_ = 0;  ///< Raised whenever the log's end is taken back: older completions say nothing (ABA).
  std::deque<InFlight> writing_;
  std::vector<Outgoing> outgoing_;
  std::deque<std::pair<std::uint64_t, Outgoing>> held_;  ///< Until that write is durable.
};

std::string_view name_of(Raft::Role role);

}  // namespace chordfs
