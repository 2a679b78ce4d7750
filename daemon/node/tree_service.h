#pragma once
// TreeService: what clients ask of arcs led here: transactions, queries, sessions, open files; and the chores of a
// leader: unfinished transactions, silent sessions, orphans that nobody has open, blocks that a map named and names no
// more.
//
// Owner: Node. Thread: the Runtime's.
// Errors: not_owner; busy when a transaction of others held what was asked for longer than kServeLimit; session_closed;
// the tree's own inside the answers.

#include <set>

#include "daemon/arc/arcs.h"
#include "daemon/node/leases.h"
#include "daemon/node/lock_service.h"
#include "daemon/node/soft_state.h"
#include "daemon/node/transactions.h"
#include "proto/client/ring_client.h"

namespace chordfs {

class TreeService {
 public:
  TreeService(Runtime& runtime, Arcs& arcs, RingClient& client);

  void start();
  awaitable<void> stop();

  awaitable<Result<Reply>> transaction(wire::TransactionRequest request);
  awaitable<Result<Reply>> operation(wire::ArcOperation request);
  awaitable<Result<Reply>> query(wire::ArcQuery request);
  awaitable<Result<Reply>> assert_opens(wire::AssertOpens request);
  awaitable<Result<Reply>> renew_leases(wire::RenewLeases request) { return leases_.renew(std::move(request)); }

  /// This node began to lead the arc.
  void led(ArcNumber arc);

 private:
  awaitable<Result<wire::Answer>> propose(ArcNumber arc, wire::Operation operation);
  /// The same for what changes inodes: once nobody else holds leases on them.
  awaitable<Result<wire::Answer>> change(ArcNumber arc, wire::Operation operation, Leases::Changer changer);
  /// Another session may have written to this file what it has not committed. Returns once it has, or after a moment;
  /// what was asked for is then to be asked for again. Errors: timed_out after `until`.
  awaitable<Result<void>> wait_for_writer(ArcNumber arc, wire::Attr file, Time until);
  /// The first file of the answer that another session writes. From a listing they are left out.
  static std::optional<wire::Attr> written_elsewhere(const wire::ArcQuery& asked, wire::QueryAnswer& answer);
  /// What the answer speaks of is leased to whoever asked, if that can be.
  void grant(const wire::ArcQuery& asked, const Leases::Mark& mark, wire::QueryAnswer& answer);
  awaitable<Result<Reply>> transact(ArcNumber arc, wire::TransactionRequest request);
  awaitable<void> transact_and_tell(ArcNumber arc, wire::TransactionRequest request, OneShot<Result<Reply>> done);
  awaitable<Result<wire::Answer>> transact_once(ArcNumber arc, wire::TransactionRequest request);
  awaitable<Result<void>> verify(ArcNumber arc, Session session);
  /// Until something changes in the arc, or a moment has passed.
  awaitable<void> wait_for_change(ArcNumber arc);
  Result<void> check_parts(const wire::Transaction& transaction) const;

  /// What only the leader knows, or answers later.
  awaitable<Result<wire::QueryAnswer>> query_of_leader(ArcNumber arc, wire::Query query);
  /// A session stands in somebody's way: if it has ended, its locks here are to go.
  void doubt(ArcNumber arc, Session session);
  awaitable<void> fence_in_doubt(ArcNumber arc, Session session);
  awaitable<void> close_silent(ArcNumber arc, Session session);
  awaitable<Result<Reply>> find_garbage(ArcNumber arc, wire::Query query);
  awaitable<void> chores();
  awaitable<void> sweep(ArcNumber arc);
  awaitable<void> sweep_outbox(ArcNumber arc);
  awaitable<void> sweep_sessions(ArcNumber arc);
  awaitable<void> close_session(ArcNumber arc, Session session);
  awaitable<bool> fence_if_closed(ArcNumber arc, Session session);
  /// From now on nothing of this session can commit in the arc.
  awaitable<void> fence(ArcNumber arc, Session session);
  awaitable<void> look_around(ArcNumber arc);

  Runtime& runtime_;
  Arcs& arcs_;
  RingClient& client_;
  Transactions transactions_;
  LockService locks_;
  OpenFiles open_files_;
  KnownSessions sessions_;
  Leases leases_;
  std::set<ArcNumber> with_outbox_;
  std::map<ArcNumber, Time> with_sessions_;                ///< When their sessions were last looked at.
  std::map<std::pair<ArcNumber, Session>, Time> doubted_;  ///< When.
  std::set<Session> closing_;
  TaskGroup tasks_;
};

}  // namespace chordfs
