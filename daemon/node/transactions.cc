#include "daemon/node/transactions.h"

#include <spdlog/spdlog.h>

#include "daemon/arc/raft/defects.h"
#include "daemon/node/propose.h"

namespace chordfs {

namespace {
constexpr int kAncestorsMax = 4096;
/// Intents younger than this are left to their coordinator.
constexpr Duration kIntentPatience = 400ms;
constexpr Duration kFinishPause = 200ms;
constexpr Duration kDriverPatience = 20ms;

wire::TxId tx_id(ArcNumber arc, std::uint64_t index) {
  wire::TxId tx;
  tx.set_arc(arc);
  tx.set_index(index);
  return tx;
}

bool takes_dirmove(const wire::Part& part) {
  for (const auto& step : part.steps())
    if (step.has_dirmove()) return true;
  return false;
}
}  // namespace

Transactions::Transactions(Runtime& runtime, Arcs& arcs, RingClient& client)
    : runtime_(runtime), arcs_(arcs), client_(client), tasks_(runtime) {}

awaitable<void> Transactions::stop() {
  tasks_.stop();
  co_await tasks_.join();
}

awaitable<Result<wire::Answer>> Transactions::propose(ArcNumber arc, wire::Operation operation) {
  return chordfs::propose(runtime_, arcs_, arc, std::move(operation));
}

awaitable<Result<wire::Answer>> Transactions::drive(ArcNumber arc, std::uint64_t index, wire::Transaction transaction) {
  TxKey key{arc, index};
  if (driving_.contains(key)) {
    while (driving_.contains(key)) co_await driven_.wait();
    wire::Answer again;
    again.set_error(static_cast<std::uint32_t>(Errc::locked));
    co_return again;
  }
  struct Driving {
    Transactions& self;
    TxKey key;
    Driving(Transactions& s, TxKey k) : self(s), key(k) { self.driving_.insert(key); }
    ~Driving() {
      self.driving_.erase(key);
      self.driven_.notify_all();
    }
  } driving(*this, key);
  auto decision = co_await prepare_all(arc, index, std::move(transaction));
  auto answer = co_await decide(arc, index, std::move(decision));
  if (answer)
    tasks_.spawn("finish a transaction", finish(arc, index));
  else
    unfinished_.insert(arc);
  co_return answer;
}

awaitable<Transactions::Decision> Transactions::prepare_all(ArcNumber arc, std::uint64_t index,
                                                            wire::Transaction transaction) {
  auto tx = tx_id(arc, index);
  std::vector<wire::Part> first, rest;
  for (int i = 1; i < transaction.parts_size(); ++i)
    (takes_dirmove(transaction.parts(i)) ? first : rest).push_back(transaction.parts(i));
  // The right to move directories comes first: the ancestors are checked under it, and only then is the rest asked.
  for (auto& part : first)
    if (auto vote = co_await prepare(tx, std::move(part)); vote.error != Errc::ok) co_return vote;
  if (transaction.moved() != 0)
    if (auto vote = co_await check_ancestors(transaction.moved(), transaction.new_parent()); vote.error != Errc::ok)
      co_return vote;
  if (planted(Defect::transaction_step_unlogged) && rest.size() > 1) rest.pop_back();
  for (auto& part : rest)
    if (auto vote = co_await prepare(tx, std::move(part)); vote.error != Errc::ok) co_return vote;
  co_return Decision{};
}

awaitable<Transactions::Decision> Transactions::prepare(wire::TxId tx, wire::Part part) {
  wire::Operation operation;
  *operation.mutable_prepare()->mutable_tx() = tx;
  *operation.mutable_prepare()->mutable_steps() = std::move(*part.mutable_steps());
  auto answer = co_await client_.operate(part.arc(), std::move(operation));
  // Not reached: whatever it did, the decision to abort undoes it, and the client may try again.
  if (!answer) co_return Decision{Errc::locked, answer.error().text()};
  co_return Decision{static_cast<Errc>(answer->error()), answer->context()};
}

awaitable<Transactions::Decision> Transactions::check_ancestors(std::uint64_t moved, std::uint64_t new_parent) {
  auto at = new_parent;
  for (int depth = 0; depth < kAncestorsMax; ++depth) {
    if (at == moved) co_return Decision{Errc::invalid, "a directory cannot be moved into itself"};
    if (at == kRootIno) co_return Decision{};
    wire::Query query;
    query.mutable_get_inode()->set_ino(at);
    query.mutable_get_inode()->set_parent_only(true);
    auto answer = co_await client_.query(client_.arc_of_ino(at), std::move(query));
    if (answer.code() == Errc::bad_handle || answer.code() == Errc::not_found)
      co_return Decision{Errc::not_found, "the target directory is gone"};
    if (!answer) co_return Decision{Errc::locked, answer.error().text()};
    at = answer->inode().attr().parent();
  }
  co_return Decision{Errc::invalid, "directories lie too deep"};
}

awaitable<Result<wire::Answer>> Transactions::decide(ArcNumber arc, std::uint64_t index, Decision decision) {
  wire::Operation operation;
  auto& decide = *operation.mutable_decide();
  decide.set_index(index);
  decide.set_commit(decision.error == Errc::ok);
  decide.set_error(static_cast<std::uint32_t>(decision.error));
  decide.set_context(decision.context);
  return propose(arc, std::move(operation));
}

awaitable<void> Transactions::finish(ArcNumber arc, std::uint64_t index) {
  if (!finishing_.insert({arc, index}).second) co_return;
  // Whatever ends it early, even our cancellation: it is looked at again, or whoever leads the arc next does so.
  struct Finishing {
    Transactions& self;
    TxKey key;
    bool done = false;
    ~Finishing() {
      self.finishing_.erase(key);
      if (!done) self.unfinished_.insert(key.first);
    }
  } finishing{*this, {arc, index}};
  auto listed = co_await list(arc);
  if (!listed) co_return;
  for (const auto& one : listed->coordinated()) {
    if (one.index() != index || one.state() == wire::QueryAnswer::UNDECIDED) continue;
    wire::Operation operation;
    *operation.mutable_finish()->mutable_tx() = tx_id(arc, index);
    operation.mutable_finish()->set_commit(one.state() == wire::QueryAnswer::COMMITTED);
    operation.mutable_finish()->set_low_water(listed->low_water());
    for (int i = 1; i < one.transaction().parts_size(); ++i)
      while (!co_await client_.operate(one.transaction().parts(i).arc(), operation)) {
        if (!arcs_.leads(arc)) co_return;
        co_await runtime_.sleep(runtime_.jitter(kFinishPause));
      }
    wire::Operation forget;
    forget.mutable_forget()->set_index(index);
    if (!co_await propose(arc, std::move(forget))) co_return;
  }
  finishing.done = true;
}

awaitable<Result<wire::QueryAnswer>> Transactions::list(ArcNumber arc) {
  wire::Query query;
  query.mutable_list_transactions();
  return ask(arcs_, arc, std::move(query));
}

void Transactions::recover(ArcNumber arc) {
  tasks_.spawn("recover transactions", recover_arc(arc));
}

awaitable<void> Transactions::recover_arc(ArcNumber arc) {
  auto listed = co_await list(arc);
  if (!listed) {
    unfinished_.insert(arc);
    co_return;
  }
  for (const auto& intent : listed->intents()) prepared(arc, intent.tx());
  for (const auto& one : listed->coordinated()) {
    if (one.state() == wire::QueryAnswer::UNDECIDED) {
      // One that has this moment been begun is in the log before its driver is on its way.
      co_await runtime_.sleep(kDriverPatience);
      if (driving_.contains({arc, one.index()})) continue;
      if (!co_await decide(arc, one.index(), {Errc::locked, "the coordinator was interrupted"})) {
        unfinished_.insert(arc);
        co_return;
      }
    }
    tasks_.spawn("finish a transaction", finish(arc, one.index()));
  }
}

void Transactions::prepared(ArcNumber arc, const wire::TxId& tx) {
  intents_[arc].try_emplace({tx.arc(), tx.index()}, runtime_.now());
}

void Transactions::finished(ArcNumber arc, const wire::TxId& tx) {
  auto found = intents_.find(arc);
  if (found == intents_.end()) return;
  found->second.erase({tx.arc(), tx.index()});
  if (found->second.empty()) intents_.erase(found);
}

void Transactions::unanswered(ArcNumber number) {
  if (auto arc = arcs_.find(number); arc && arc->raft) unanswered_[number] = arc->raft->log().last();
}

void Transactions::resolve_old() {
  std::erase_if(unanswered_, [this](const auto& one) {
    auto arc = arcs_.find(one.first);
    if (!arc || !arc->leads()) return true;  // Whoever leads looks at everything.
    if (arc->applied < one.second) return false;
    unfinished_.insert(one.first);
    return true;
  });
  for (auto arc : std::exchange(unfinished_, {}))
    if (arcs_.leads(arc)) recover(arc);
  std::erase_if(intents_, [this](const auto& arc) { return !arcs_.leads(arc.first); });
  for (const auto& [arc, intents] : intents_)
    for (const auto& [key, since] : intents)
      if (since + kIntentPatience <= runtime_.now() && resolving_.insert({arc, key}).second)
        tasks_.spawn("resolve an intent", resolve(arc, tx_id(key.first, key.second)));
}

awaitable<void> Transactions::resolve(ArcNumber arc, wire::TxId tx) {
  struct Resolving {
    Transactions& self;
    std::pair<ArcNumber, TxKey> key;
    ~Resolving() { self.resolving_.erase(key); }
  } resolving{*this, {arc, {tx.arc(), tx.index()}}};
  wire::Query query;
  *query.mutable_transaction_state()->mutable_tx() = tx;
  auto state = co_await client_.query(tx.arc(), std::move(query));
  if (!state || state->tx_state() == wire::QueryAnswer::UNDECIDED) co_return;
  // Unknown: it was forgotten, so it had been finished here; what is left of it is dropped.
  wire::Operation operation;
  *operation.mutable_finish()->mutable_tx() = tx;
  operation.mutable_finish()->set_commit(state->tx_state() == wire::QueryAnswer::COMMITTED);
  if (co_await propose(arc, std::move(operation))) finished(arc, tx);
}

}  // namespace chordfs
