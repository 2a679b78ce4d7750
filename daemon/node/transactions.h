#pragma once
// Transactions: drives the two-phase commits whose coordinator's arc this node leads (replication.md 4.6), and resolves
// intents that a coordinator elsewhere left behind. Every step is a log entry, so whoever leads an arc next goes on
// from there; nothing here is remembered.
//
// Owner: TreeService. Thread: the Runtime's. Errors: in the Answer: `locked` when the transaction was aborted for now
// (the caller tries again), the participant's own error when it refused.

#include <map>
#include <set>

#include "daemon/arc/arcs.h"
#include "proto/client/ring_client.h"

namespace chordfs {

class Transactions {
 public:
  Transactions(Runtime& runtime, Arcs& arcs, RingClient& client);

  awaitable<void> stop();

  /// From Begin, logged at `index` of `arc`, to its decision. A second caller for the same transaction waits for the
  /// first and gets `locked`: it asks the log again.
  awaitable<Result<wire::Answer>> drive(ArcNumber arc, std::uint64_t index, wire::Transaction transaction);
  /// What to do with transactions that a previous leader left: undecided ones are aborted, decided ones finished.
  void recover(ArcNumber arc);

  /// A prepared part was logged in (or is gone from) an arc led here.
  void prepared(ArcNumber arc, const wire::TxId& tx);
  void finished(ArcNumber arc, const wire::TxId& tx);
  /// A begin or a prepare stands in the log, and whoever proposed it did not wait for it. If it is committed after all,
  /// nobody may be left who drives it, and the leader does not know of the intent.
  void unanswered(ArcNumber arc);
  /// Asks the coordinators of intents that are old, and goes on where an error (a full disk) ended a step of a
  /// transaction coordinated here. Call now and then.
  void resolve_old();

 private:
  struct Decision {
    Errc error = Errc::ok;
    std::string context;
  };
  using TxKey = std::pair<ArcNumber, std::uint64_t>;

  awaitable<Decision> prepare_all(ArcNumber arc, std::uint64_t index, wire::Transaction transaction);
  awaitable<Decision> prepare(wire::TxId tx, wire::Part part);
  awaitable<Decision> check_ancestors(std::uint64_t moved, std::uint64_t new_parent);
  awaitable<Result<wire::Answer>> decide(ArcNumber arc, std::uint64_t index, Decision decision);
  /// Tells every participant what stands decided in the log, then forgets the transaction.
  awaitable<void> finish(ArcNumber arc, std::uint64_t index);
  awaitable<void> recover_arc(ArcNumber arc);
  awaitable<void> resolve(ArcNumber arc, wire::TxId tx);
  awaitable<Result<wire::QueryAnswer>> list(ArcNumber arc);
  awaitable<Result<wire::Answer>> propose(ArcNumber arc, wire::Operation operation);

  Runtime& runtime_;
  Arcs& arcs_;
  RingClient& client_;
  std::set<TxKey> driving_;
  std::set<TxKey> finishing_;
  std::set<ArcNumber> unfinished_;                 ///< Arcs with a transaction that nobody drives or finishes any more.
  std::map<ArcNumber, std::uint64_t> unanswered_;  ///< Up to this index of the log.
  Signal driven_;
  std::map<ArcNumber, std::map<TxKey, Time>> intents_;
  std::set<std::pair<ArcNumber, TxKey>> resolving_;
  TaskGroup tasks_;
};

}  // namespace chordfs
