#include "daemon/node/tree_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/arc/raft/defects.h"
#include "daemon/node/propose.h"

namespace chordfs {

namespace {
/// Shorter than a client's own timeout, so that it hears of us and not silence: that it would take for our death.
constexpr Duration kServeLimit = 700ms;
constexpr Duration kLockPause = 50ms;
constexpr Duration kChoresEvery = 500ms;
constexpr Duration kSessionsEvery = 5s;
constexpr std::uint32_t kOutboxPageMax = 500;
constexpr int kSessionsAsked = 16;
/// How often it is asked whether a session has ended whose locks are in somebody's way.
constexpr Duration kDoubtEvery = 1s;

Reply reply_with(wire::Answer answer) {
  Reply reply;
  *reply.header.mutable_answer() = std::move(answer);
  return reply;
}

Errc code_of(const wire::Answer& answer) {
  return static_cast<Errc>(answer.error());
}
}  // namespace

TreeService::TreeService(Runtime& runtime, Arcs& arcs, RingClient& client)
    : runtime_(runtime),
      arcs_(arcs),
      client_(client),
      transactions_(runtime, arcs, client),
      locks_(runtime, arcs),
      leases_(runtime, arcs, client, open_files_),
      tasks_(runtime) {}

void TreeService::start() {
  tasks_.spawn("chores", chores());
}

awaitable<void> TreeService::stop() {
  tasks_.stop();
  co_await tasks_.join();
  co_await transactions_.stop();
}

void TreeService::led(ArcNumber arc) {
  open_files_.drop(arc);
  sessions_.drop(arc);
  leases_.led(arc);
  locks_.drop(arc);
  transactions_.recover(arc);
  tasks_.spawn("look around in a new arc", look_around(arc));
}

awaitable<void> TreeService::look_around(ArcNumber arc) {
  wire::Query outbox, sessions;
  outbox.mutable_list_outbox()->set_entries_max(1);
  sessions.mutable_list_sessions();
  auto left = co_await ask(arcs_, arc, std::move(outbox));
  if (left && left->outbox_size() > 0) with_outbox_.insert(arc);
  auto known = co_await ask(arcs_, arc, std::move(sessions));
  if (known && known->sessions_size() > 0) with_sessions_[arc] = runtime_.now();
}

awaitable<Result<wire::Answer>> TreeService::propose(ArcNumber arc, wire::Operation operation) {
  const bool transacts = operation.has_begin() || operation.has_prepare();
  auto answer = co_await chordfs::propose(runtime_, arcs_, arc, std::move(operation));
  if (transacts && answer.code() == Errc::timed_out) transactions_.unanswered(arc);
  // Without an answer it may have happened all the same.
  if (!answer || answer->pending_outbox()) with_outbox_.insert(arc);
  co_return answer;
}

awaitable<Result<wire::Answer>> TreeService::change(ArcNumber arc, wire::Operation operation, Leases::Changer changer) {
  std::set<std::uint64_t> inos;
  const bool unlinks = touched(operation.has_execute() ? operation.execute().steps()
                               : operation.has_begin() ? operation.begin().transaction().parts(0).steps()
                                                       : operation.prepare().steps(),
                               inos);
  Leases::Change change(leases_, arc, inos);
  CO_TRY_VOID(co_await leases_.recall(arc, std::move(inos), changer, unlinks, runtime_.now() + kServeLimit));
  const auto term = leases_.term_of(arc);
  const bool alone = operation.has_execute();
  auto answer = co_await propose(arc, std::move(operation));
  if (answer.code() == Errc::timed_out) change.unknown();
  if (answer && alone) leases_.grant(change, term, changer.incarnation, *answer);
  co_return answer;
}

awaitable<Result<void>> TreeService::wait_for_writer(ArcNumber arc, wire::Attr file, Time until) {
  if (leases_.writer_is_done(file)) {
    wire::Operation operation;
    operation.mutable_execute()->set_arc(arc);
    auto& end = *operation.mutable_execute()->add_steps()->mutable_end_writing();
    end.set_ino(file.ino());
    end.set_writer(file.writer());
    end.set_written_as(file.written_as());
    CO_TRY_VOID(co_await propose(arc, std::move(operation)));
    co_return Result<void>();
  }
  // It lives and has more to send than goes quickly, or has just died: worth waiting for.
  if (runtime_.now() >= until)
    co_return Error{Errc::timed_out, fmt::format("inode {:x}: its writer has not committed yet", file.ino())};
  co_await leases_.wait_for_letting_go();
  co_return Result<void>();
}

std::optional<wire::Attr> TreeService::written_elsewhere(const wire::ArcQuery& asked, wire::QueryAnswer& answer) {
  auto elsewhere = [&](const wire::Attr& attr) { return attr.writer() != 0 && attr.writer() != asked.session(); };
  for (auto& entry : *answer.mutable_entries())
    if (entry.has_attr() && elsewhere(entry.attr())) entry.clear_attr();
  const bool speaks_of_it = asked.query().has_get_inode() && !asked.query().get_inode().parent_only();
  if (answer.has_attr() && elsewhere(answer.attr())) return answer.attr();
  if (speaks_of_it && elsewhere(answer.inode().attr())) return answer.inode().attr();
  return std::nullopt;
}

awaitable<void> TreeService::wait_for_change(ArcNumber number) {
  if (auto arc = arcs_.find(number)) co_await arc->changed.wait_for(runtime_, kLockPause);
}

Result<void> TreeService::check_parts(const wire::Transaction& transaction) const {
  std::set<ArcNumber> seen;
  for (const auto& part : transaction.parts()) {
    if (part.arc() >= client_.arcs().count()) return Error{Errc::bad_message, "no such arc"};
    if (!seen.insert(part.arc()).second) return Error{Errc::bad_message, "two parts in one arc"};
  }
  if (seen.empty()) return Error{Errc::bad_message, "a transaction without parts"};
  return {};
}

awaitable<Result<void>> TreeService::verify(ArcNumber arc, Session session) {
  auto home = client_.arc_of_ino(session);
  if (home >= client_.arcs().count()) co_return Error{Errc::bad_message, "no such session"};
  with_sessions_.try_emplace(arc, runtime_.now());
  if (home == arc || sessions_.is_verified(arc, session)) co_return Result<void>();
  wire::Query query;
  query.mutable_session_state()->set_session(session);
  CO_TRY(auto state, co_await client_.query(home, std::move(query)));
  if (!state.session_open()) co_return Error{Errc::session_closed, "the session has expired"};
  sessions_.verified(arc, session);
  co_return Result<void>();
}

awaitable<Result<Reply>> TreeService::transaction(wire::TransactionRequest request) {
  CO_TRY_VOID(check_parts(request.transaction()));
  auto arc = request.transaction().parts(0).arc();
  if (!arcs_.leads(arc)) co_return Error{Errc::not_owner, fmt::format("this node does not hold arc {}", arc)};
  const auto session = request.identity().session();
  const bool here_alone = request.transaction().parts_size() == 1 &&
                          (client_.arc_of_ino(session) == arc || sessions_.is_verified(arc, session));
  if (here_alone) co_return co_await transact(arc, std::move(request));
  // Other arcs have a say, and who led one of them may just have died. The work goes on without whoever asked for it;
  // he asks again, under the same identity.
  OneShot<Result<Reply>> done;
  tasks_.spawn("transaction", transact_and_tell(arc, std::move(request), done));
  if (auto reply = co_await done.wait_for(runtime_, kServeLimit)) co_return std::move(*reply);
  co_return Error{Errc::timed_out, fmt::format("a transaction of arc {} waits for another arc", arc)};
}

awaitable<void> TreeService::transact_and_tell(ArcNumber arc, wire::TransactionRequest request,
                                               OneShot<Result<Reply>> done) {
  done.set(co_await transact(arc, std::move(request)));
}

awaitable<Result<Reply>> TreeService::transact(ArcNumber arc, wire::TransactionRequest request) {
  CO_TRY_VOID(co_await verify(arc, request.identity().session()));
  auto until = runtime_.now() + kServeLimit;
  // Before it happens: a purge that comes between sees that the inode is open.
  if (request.opened() != 0)
    open_files_.opened(client_.arc_of_ino(request.opened()), request.opened(), request.identity().session(),
                       runtime_.now());
  for (;;) {
    CO_TRY(auto answer, co_await transact_once(arc, request));
    if (code_of(answer) == Errc::being_written) {
      CO_TRY_VOID(co_await wait_for_writer(arc, std::move(*answer.mutable_written()), until));
      continue;
    }
    if (code_of(answer) != Errc::locked) {
      if (code_of(answer) == Errc::ok)
        locks_.applied(arc, request.identity().session(), request.transaction().parts(0));
      co_return reply_with(std::move(answer));
    }
    if (runtime_.now() >= until) co_return Error{Errc::busy, "a transaction holds what this one needs"};
    co_await wait_for_change(arc);
  }
}

awaitable<Result<wire::Answer>> TreeService::transact_once(ArcNumber arc, wire::TransactionRequest request) {
  wire::Operation operation;
  *operation.mutable_identity() = request.identity();
  auto& transaction = *request.mutable_transaction();
  const Leases::Changer changer{request.lease(), request.lease_number()};
  if (transaction.parts_size() == 1) {
    locks_.put_in_line(arc, request.identity().session(), *transaction.mutable_parts(0));
    // Whoever waits for the file comes before those who would go on.
    for (auto& step : *transaction.mutable_parts(0)->mutable_steps())
      if (step.has_commit() && leases_.is_waited_for(step.commit().ino())) step.mutable_commit()->set_goes_on(false);
    *operation.mutable_execute() = std::move(*transaction.mutable_parts(0));
    co_return co_await change(arc, std::move(operation), changer);
  }
  *operation.mutable_begin()->mutable_transaction() = transaction;
  CO_TRY(auto begun, co_await change(arc, std::move(operation), changer));
  if (code_of(begun) != Errc::ok || begun.tx().index() == 0) co_return begun;
  co_return co_await transactions_.drive(arc, begun.tx().index(), std::move(transaction));
}

awaitable<Result<Reply>> TreeService::operation(wire::ArcOperation request) {
  auto arc = request.arc();
  auto& operation = *request.mutable_operation();
  operation.clear_identity();
  std::optional<wire::TxId> prepared, finished;
  switch (operation.kind_case()) {
    case wire::Operation::kPrepare:
      prepared = operation.prepare().tx();
      break;
    case wire::Operation::kFinish:
      finished = operation.finish().tx();
      break;
    case wire::Operation::kOpenSession:
    case wire::Operation::kCloseSession:
      with_sessions_.try_emplace(arc, runtime_.now());
      break;
    default:
      co_return Error{Errc::bad_message, "this operation is not for clients"};
  }
  bool opening = operation.has_open_session();
  const auto closing = operation.close_session().session();
  // Whoever asked for the transaction holds leases like everybody else here: who that is is not known.
  CO_TRY(auto answer, co_await (prepared ? change(arc, std::move(operation), {}) : propose(arc, std::move(operation))));
  if (opening && answer.session() != 0) sessions_.heard(answer.session(), runtime_.now());
  if (closing != 0) locks_.ended(arc, closing);
  if (prepared && code_of(answer) == Errc::ok) transactions_.prepared(arc, *prepared);
  if (finished) transactions_.finished(arc, *finished);
  co_return reply_with(std::move(answer));
}

awaitable<Result<Reply>> TreeService::query(wire::ArcQuery request) {
  auto arc = request.arc();
  if (!arcs_.leads(arc)) co_return Error{Errc::not_owner, fmt::format("this node does not hold arc {}", arc)};
  if (request.query().has_find_garbage()) co_return co_await find_garbage(arc, std::move(*request.mutable_query()));
  // Registered before it is read: a purge that comes between sees that the inode is open.
  if (request.query().get_inode().open() && request.session() != 0)
    open_files_.opened(arc, request.query().get_inode().ino(), request.session(), runtime_.now());
  auto until = runtime_.now() + kServeLimit;
  for (;;) {
    const auto mark = leases_.mark(arc);
    CO_TRY(auto answer, co_await query_of_leader(arc, request.query()));
    // Tools without a session look at what is committed.
    if (request.session() != 0 && !planted(Defect::writer_not_waited_for))
      if (auto written = written_elsewhere(request, answer)) {
        CO_TRY_VOID(co_await wait_for_writer(arc, std::move(*written), until));
        continue;
      }
    if (static_cast<Errc>(answer.error()) != Errc::locked) {
      if (request.lease() != 0) grant(request, mark, answer);
      Reply reply;
      *reply.header.mutable_query() = std::move(answer);
      co_return reply;
    }
    if (runtime_.now() >= until) co_return Error{Errc::busy, "a transaction holds what was asked for"};
    co_await wait_for_change(arc);
  }
}

void TreeService::grant(const wire::ArcQuery& asked, const Leases::Mark& mark, wire::QueryAnswer& answer) {
  const auto& query = asked.query();
  std::vector<std::uint64_t> inos;
  const auto error = static_cast<Errc>(answer.error());
  if (query.has_lookup() && (error == Errc::ok || error == Errc::not_found))
    inos.push_back(query.lookup().dir());
  else if (query.has_get_inode() && error == Errc::ok)
    inos.push_back(query.get_inode().ino());
  else if (query.has_read_dir() && error == Errc::ok)
    inos.push_back(query.read_dir().dir());
  else
    return;
  if (answer.has_attr()) inos.push_back(answer.attr().ino());
  for (const auto& entry : answer.entries())
    if (entry.has_attr()) inos.push_back(entry.ino());
  leases_.grant(asked.arc(), mark, asked.lease(), inos, answer);
}

awaitable<Result<wire::QueryAnswer>> TreeService::query_of_leader(ArcNumber arc, wire::Query query) {
  switch (query.kind_case()) {
    case wire::Query::kAwaitLock:
      co_return co_await locks_.await_lock(arc, query.await_lock(),
                                           [this, arc](Session session) { doubt(arc, session); });
    case wire::Query::kTellWait:
      co_return co_await locks_.tell_wait(arc, query.tell_wait());
    case wire::Query::kWaitsOf:
      co_return co_await locks_.waits_of(arc, query.waits_of());
    case wire::Query::kSessionState:
      // Whoever asks has a reason: it need not wait until the sessions are looked at again.
      if (client_.arc_of_ino(query.session_state().session()) == arc) doubt(arc, query.session_state().session());
      break;
    default:
      break;
  }
  co_return co_await ask(arcs_, arc, std::move(query));
}

void TreeService::doubt(ArcNumber arc, Session session) {
  if (client_.arc_of_ino(session) >= client_.arcs().count()) return;
  const auto now = runtime_.now();
  if (client_.arc_of_ino(session) == arc) {
    auto held = arcs_.find(arc);
    if (held && held->serves() && sessions_.is_silent(session, held->led_since, now) && closing_.insert(session).second)
      tasks_.spawn("close a silent session", close_silent(arc, session));
    return;
  }
  std::erase_if(doubted_, [now](const auto& one) { return one.second + kDoubtEvery <= now; });
  if (doubted_.try_emplace({arc, session}, now).second)
    tasks_.spawn("fence a session in doubt", fence_in_doubt(arc, session));
}

awaitable<void> TreeService::fence_in_doubt(ArcNumber arc, Session session) {
  co_await fence_if_closed(arc, session);
}

awaitable<void> TreeService::close_silent(ArcNumber arc, Session session) {
  struct Closing {
    std::set<Session>& all;
    Session session;
    ~Closing() { all.erase(session); }
  } closing{closing_, session};
  wire::Query query;
  query.mutable_session_state()->set_session(session);
  auto state = co_await ask(arcs_, arc, std::move(query));
  if (state && state->session_open()) co_await close_session(arc, session);
}

/// A session that never did anything in this arc may have ended without the arc having heard of it: asked for here,
/// once it matters.
awaitable<Result<Reply>> TreeService::find_garbage(ArcNumber arc, wire::Query query) {
  CO_TRY(auto answer, co_await ask(arcs_, arc, query));
  bool fenced = false;
  for (int i = 0; i < std::min(answer.sessions_size(), kSessionsAsked); ++i)
    if (client_.arc_of_ino(answer.sessions(i)) != arc) fenced |= co_await fence_if_closed(arc, answer.sessions(i));
  if (fenced) {
    CO_TRY(answer, co_await ask(arcs_, arc, std::move(query)));
  }
  Reply reply;
  *reply.header.mutable_query() = std::move(answer);
  co_return reply;
}

awaitable<Result<Reply>> TreeService::assert_opens(wire::AssertOpens request) {
  auto arc = request.arc();
  if (!arcs_.leads(arc)) co_return Error{Errc::not_owner, fmt::format("this node does not hold arc {}", arc)};
  auto session = request.session();
  if (client_.arc_of_ino(session) == arc) {
    wire::Query query;
    query.mutable_session_state()->set_session(session);
    CO_TRY(auto state, co_await ask(arcs_, arc, std::move(query)));
    if (!state.session_open()) co_return Error{Errc::session_closed, "the session has expired"};
    sessions_.heard(session, runtime_.now());
  }
  for (auto ino : request.inos()) open_files_.opened(arc, ino, session, runtime_.now());
  co_return Reply{};
}

awaitable<void> TreeService::chores() {
  for (;;) {
    co_await runtime_.sleep(runtime_.jitter(kChoresEvery));
    transactions_.resolve_old();
    leases_.expire();
    locks_.expire();
    std::set<ArcNumber> arcs = with_outbox_;
    for (const auto& [arc, when] : with_sessions_)
      if (when + kSessionsEvery <= runtime_.now()) arcs.insert(arc);
    for (auto arc : arcs) co_await sweep(arc);
  }
}

awaitable<void> TreeService::sweep(ArcNumber arc) {
  if (!arcs_.leads(arc)) {
    with_outbox_.erase(arc);
    with_sessions_.erase(arc);
    co_return;
  }
  open_files_.expire(arc, runtime_.now());
  if (with_outbox_.contains(arc)) co_await sweep_outbox(arc);
  auto sessions = with_sessions_.find(arc);
  if (sessions == with_sessions_.end() || sessions->second + kSessionsEvery > runtime_.now()) co_return;
  sessions->second = runtime_.now();
  co_await sweep_sessions(arc);
}

awaitable<void> TreeService::sweep_outbox(ArcNumber number) {
  auto arc = arcs_.find(number);
  wire::Query query;
  query.mutable_list_outbox()->set_entries_max(kOutboxPageMax);
  auto listed = co_await ask(arcs_, number, std::move(query));
  if (!listed) co_return;
  if (listed->outbox().empty()) with_outbox_.erase(number);
  std::map<ArcNumber, std::pair<std::vector<std::string>, std::vector<std::uint64_t>>> drops;
  for (const auto& entry : listed->outbox()) {
    if (entry.orphan() == 0) {
      auto& drop = drops[client_.arc_of_block(entry.block())];
      drop.first.push_back(entry.block());
      drop.second.push_back(entry.seq());
      continue;
    }
    // Those who have it open say so every kSessionRenewEvery; before a whole kSessionTtl silence proves nothing.
    bool certain = arc && arc->led_since + kSessionTtl <= runtime_.now();
    if (!certain || open_files_.is_open(number, entry.orphan(), runtime_.now())) continue;
    wire::Operation purge;
    purge.mutable_purge()->set_ino(entry.orphan());
    std::ignore = co_await propose(number, std::move(purge));
  }
  // Before a block goes, the change that no longer names it must be there to stay.
  if (!drops.empty() && !co_await arcs_.sync(number)) co_return;
  wire::Operation cleared;
  for (auto& [holder, drop] : drops)
    if (co_await client_.drop_blocks(holder, std::move(drop.first)))
      cleared.mutable_clear_outbox()->mutable_seqs()->Add(drop.second.begin(), drop.second.end());
  if (cleared.has_clear_outbox()) std::ignore = co_await propose(number, std::move(cleared));
}

awaitable<void> TreeService::sweep_sessions(ArcNumber number) {
  wire::Query query;
  query.mutable_list_sessions();
  auto listed = co_await ask(arcs_, number, std::move(query));
  auto arc = arcs_.find(number);
  if (!listed || !arc) co_return;
  if (listed->sessions().empty()) with_sessions_.erase(number);
  for (auto session : listed->sessions()) {
    bool home = client_.arc_of_ino(session) == number;
    if (home && !sessions_.is_silent(session, arc->led_since, runtime_.now())) continue;
    if (home)
      co_await close_session(number, session);
    else
      co_await fence_if_closed(number, session);
  }
}

awaitable<void> TreeService::close_session(ArcNumber arc, Session session) {
  wire::Operation close;
  close.mutable_close_session()->set_session(session);
  if (!co_await propose(arc, std::move(close))) co_return;
  sessions_.forget(session);
  co_await fence(arc, session);
  spdlog::info("session {:x} has been silent for {} s: closed", session, kSessionTtl / 1s);
}

awaitable<bool> TreeService::fence_if_closed(ArcNumber arc, Session session) {
  wire::Query query;
  query.mutable_session_state()->set_session(session);
  auto state = co_await client_.query(client_.arc_of_ino(session), std::move(query));
  const bool closed = state && !state->session_open();
  if (closed) co_await fence(arc, session);
  co_return closed;
}

awaitable<void> TreeService::fence(ArcNumber arc, Session session) {
  wire::Operation fence;
  fence.mutable_fence_session()->set_session(session);
  sessions_.drop(arc, session);
  open_files_.drop(arc, session);
  std::ignore = co_await propose(arc, std::move(fence));  // Otherwise the next round does it.
  locks_.ended(arc, session);
}

}  // namespace chordfs
