#include "tests/local_client.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "daemon/tree/state.h"
#include "proto/base/check.h"
#include "proto/wire/limits.h"

namespace chordfs {

namespace {
Error error_in(std::uint32_t code, const std::string& context) {
  return {static_cast<Errc>(code), context};
}

wire::Answer refusal_of(Errc code, std::string context) {
  wire::Answer answer;
  answer.set_error(static_cast<std::uint32_t>(code));
  answer.set_context(std::move(context));
  return answer;
}

wire::Peer local_peer() {
  wire::Peer peer;
  peer.set_node(std::string(Uuid::kBytes, '\1'));
  peer.set_host("local");
  peer.set_port(1);
  return peer;
}
}  // namespace

// ---- LocalRing ----

LocalRing::LocalRing(ArcMap arcs) : arcs_(arcs), tree_(arcs), records_(arcs.count()), log_indices_(arcs.count()) {
  for (ArcNumber arc = 0; arc < arcs_.count(); ++arc) tree_.create(arc, records_[arc]);
}

ArcNumber LocalRing::arc_of(std::uint64_t number) const {
  return tree::Place{arcs_, 0}.arc_of(number);
}

wire::Answer LocalRing::apply(ArcNumber arc, wire::Operation operation, std::int64_t now) {
  operation.set_now(now);
  wire::Answer answer;
  auto bytes = tree_.apply(arc, records_.at(arc), ++log_indices_.at(arc), operation.SerializeAsString());
  CHECK(answer.ParseFromString(bytes));
  return answer;
}

wire::QueryAnswer LocalRing::query(ArcNumber arc, const wire::Query& query) const {
  wire::QueryAnswer answer;
  CHECK(answer.ParseFromString(tree_.query(arc, records_.at(arc), query.SerializeAsString())));
  return answer;
}

bool LocalRing::is_open(std::uint64_t session) const {
  wire::Query query_state;
  query_state.mutable_session_state()->set_session(session);
  return session != 0 && query(arc_of(session), query_state).session_open();
}

void LocalRing::expire(std::uint64_t session) {
  wire::Operation operation;
  operation.mutable_close_session()->set_session(session);
  apply(arc_of(session), operation, 0);
  for (ArcNumber arc = 0; arc < arcs_.count(); ++arc) {
    if (arc == arc_of(session)) continue;
    wire::Operation fence;
    fence.mutable_fence_session()->set_session(session);
    apply(arc, fence, 0);
  }
}

wire::Answer LocalRing::transact(const wire::Transaction& transaction, const wire::Identity& identity,
                                 std::int64_t now) {
  if (!is_open(identity.session())) return refusal_of(Errc::session_closed, "the session has expired");
  if (transaction.parts_size() == 0 || transaction.parts(0).arc() >= arcs_.count())
    return refusal_of(Errc::invalid, "a transaction without parts");
  if (transaction.parts_size() > 1 || transaction.moved() != 0) return commit_all(transaction, identity, now);
  wire::Operation operation;
  *operation.mutable_identity() = identity;
  *operation.mutable_execute() = transaction.parts(0);
  return apply(transaction.parts(0).arc(), std::move(operation), now);
}

wire::Answer LocalRing::commit_all(const wire::Transaction& transaction, const wire::Identity& identity,
                                   std::int64_t now) {
  auto coordinator = transaction.parts(0).arc();
  wire::Operation begin;
  *begin.mutable_identity() = identity;
  *begin.mutable_begin()->mutable_transaction() = transaction;
  auto begun = apply(coordinator, begin, now);
  if (begun.error() != 0) return begun;

  auto refused = prepare_all(transaction, begun.tx(), now);
  if (refused.error() == 0 && moves_below_itself(transaction))
    refused = refusal_of(Errc::invalid, "a directory moved below itself");
  wire::Operation decide;
  decide.mutable_decide()->set_index(begun.tx().index());
  decide.mutable_decide()->set_commit(refused.error() == 0);
  decide.mutable_decide()->set_error(refused.error());
  decide.mutable_decide()->set_context(refused.context());
  auto answer = apply(coordinator, decide, now);

  for (const auto& part : transaction.parts()) {
    if (part.arc() == coordinator) continue;
    wire::Operation finish;
    *finish.mutable_finish()->mutable_tx() = begun.tx();
    finish.mutable_finish()->set_commit(refused.error() == 0);
    finish.mutable_finish()->set_low_water(begun.tx().index());
    apply(part.arc(), finish, now);
  }
  wire::Operation forget;
  forget.mutable_forget()->set_index(begun.tx().index());
  apply(coordinator, forget, now);
  // With nobody in between, what a participant found can be told as well.
  return refused.error() != 0 ? refused : answer;
}

wire::Answer LocalRing::prepare_all(const wire::Transaction& transaction, const wire::TxId& tx, std::int64_t now) {
  for (int i = 1; i < transaction.parts_size(); ++i) {
    wire::Operation prepare;
    *prepare.mutable_prepare()->mutable_tx() = tx;
    *prepare.mutable_prepare()->mutable_steps() = transaction.parts(i).steps();
    auto vote = apply(transaction.parts(i).arc(), prepare, now);
    if (vote.error() != 0) return vote;
  }
  return {};
}

bool LocalRing::moves_below_itself(const wire::Transaction& transaction) const {
  if (transaction.moved() == 0) return false;
  auto at = transaction.new_parent();
  // Straight from the records: the transaction's own locks are not to be met here.
  while (at != kRootIno) {
    wire::Inode inode;
    if (at == transaction.moved() || !tree::load_inode(records_.at(arc_of(at)), at, inode)) return true;
    at = inode.attr().parent();
  }
  return false;
}

void LocalRing::clear_up(ArcNumber arc, Time now) {
  std::erase_if(opening_, [&](const auto& entry) { return entry.second < now; });
  wire::Query list;
  list.mutable_list_outbox();
  for (bool progress = true; progress;) {
    progress = false;
    wire::Operation clear;
    auto outbox = query(arc, list);
    for (const auto& entry : outbox.outbox()) {
      if (entry.orphan() != 0) {
        if (opens_.contains(entry.orphan()) || opening_.contains(entry.orphan())) continue;
        wire::Operation purge;
        purge.mutable_purge()->set_ino(entry.orphan());
        apply(arc, purge, 0);
      } else {
        blocks_.erase(entry.block());
        clear.mutable_clear_outbox()->add_seqs(entry.seq());
      }
      progress = true;
    }
    if (clear.has_clear_outbox()) apply(arc, clear, 0);
  }
}

void LocalRing::clear_up_all(Time now) {
  for (ArcNumber arc = 0; arc < arcs_.count(); ++arc)
    if (tree::load_usage(records_[arc]).pending()) clear_up(arc, now);
}

// ---- LocalClient ----

LocalClient::~LocalClient() {
  drop_opens();
}

void LocalClient::drop_opens() {
  while (!opens_.empty()) released(opens_.begin()->first);
}

awaitable<Result<void>> LocalClient::enter(std::string call) {
  co_await asio::post(runtime_.executor(), asio::use_awaitable);
  ++ring_.calls[call];
  if (ring_.fault) co_return ring_.fault(call);
  co_return Result<void>();
}

awaitable<Result<void>> LocalClient::open_session(std::string name) {
  CO_TRY_VOID(co_await enter("open_session"));
  wire::Operation operation;
  operation.mutable_open_session()->set_name(name);
  session_ = last_session_ = ring_.apply(random_arc(), operation, runtime_.wall_now()).session();
  seq_ = 0;
  co_return Result<void>();
}

awaitable<void> LocalClient::close_session() {
  auto session = std::exchange(session_, 0);
  if (session != 0) ring_.expire(session);
  drop_opens();
  co_return;
}

awaitable<Result<void>> LocalClient::confirm_session() {
  if (!ring_.is_open(session_)) co_return Error{Errc::session_closed, "the session has expired"};
  co_return Result<void>();
}

wire::Identity LocalClient::next_identity() {
  wire::Identity identity;
  identity.set_session(session_);
  identity.set_seq(++seq_);
  // A call ends in the turn in which it begins: the ones before are finished.
  identity.set_first_unacked(seq_);
  return identity;
}

awaitable<Result<wire::Answer>> LocalClient::transact(wire::Transaction transaction, std::uint64_t opened) {
  CO_TRY_VOID(co_await enter("transact"));
  auto answer = ring_.transact(transaction, next_identity(), runtime_.wall_now());
  auto code = static_cast<Errc>(answer.error());
  CHECK(code != Errc::locked && code != Errc::busy, "{}", answer.context());
  if (opened != 0 && answer.error() == 0) ring_.opening_[opened] = runtime_.now() + kSessionTtl;
  ring_.clear_up_all(runtime_.now());
  if (answer.error() != 0 && code != Errc::stale) co_return error_in(answer.error(), answer.context());
  co_return answer;
}

awaitable<Result<wire::QueryAnswer>> LocalClient::query(ArcNumber arc, wire::Query query) {
  CO_TRY_VOID(co_await enter("query"));
  CHECK(arc < arcs().count(), "arc {}", arc);
  auto answer = ring_.query(arc, query);
  if (query.has_tell_wait()) {
    const auto& wait = query.tell_wait().wait();
    auto& waits = ring_.waits_[{wait.lock().session(), wait.lock().owner()}];
    query.tell_wait().ended() ? void(waits.erase(wait.waiter())) : void(waits.insert_or_assign(wait.waiter(), wait));
  } else if (query.has_waits_of()) {
    for (const auto& [number, wait] : ring_.waits_[{query.waits_of().session(), query.waits_of().owner()}])
      *answer.add_waits() = wait;
  }
  if (answer.error() != 0) co_return error_in(answer.error(), answer.context());
  if (query.has_get_inode() && query.get_inode().open())
    ring_.opening_[query.get_inode().ino()] = runtime_.now() + kSessionTtl;
  co_return answer;
}

awaitable<Result<void>> LocalClient::put_block(std::string block, Bytes contents) {
  CO_TRY_VOID(co_await enter("put_block"));
  CHECK(block.size() == kBlockIdBytes && contents.size() <= kBlockBytesMax, "{} bytes", contents.size());
  // Copied: the caller's memory may be reused by a client that breaks the promise of Bytes, and here that would show.
  ring_.blocks_.insert_or_assign(std::move(block), Bytes::copy(contents.view()));
  co_return Result<void>();
}

awaitable<Result<Bytes>> LocalClient::get_block(std::string block, std::uint32_t offset, std::uint32_t length) {
  CO_TRY_VOID(co_await enter("get_block"));
  auto at = ring_.blocks_.find(block);
  if (at == ring_.blocks_.end()) co_return Error{Errc::no_block, "no block " + hex(block)};
  if (offset > at->second.size() || length > at->second.size() - offset)
    co_return Error{Errc::invalid, "beyond the block's end"};
  co_return at->second.slice(offset, length);
}

void LocalClient::opened(std::uint64_t ino) {
  ++opens_[ino];
  ++ring_.opens_[ino];
  ring_.opening_.erase(ino);
}

void LocalClient::released(std::uint64_t ino) {
  if (!opens_.contains(ino)) return;  // The session's end has released it before.
  for (auto* opens : {&opens_, &ring_.opens_}) {
    auto at = opens->find(ino);
    CHECK(at != opens->end(), "inode {:x}", ino);
    if (--at->second == 0) opens->erase(at);
  }
  ring_.clear_up(ring_.arc_of(ino), runtime_.now());
}

awaitable<Result<Location>> LocalClient::locate(Id id) {
  Location location;
  location.arc = arcs().arc_of(id);
  location.point = arcs().point(location.arc);
  location.owner = local_peer();
  co_return location;
}

awaitable<Result<std::vector<wire::Status>>> LocalClient::walk(bool) {
  wire::Status status;
  *status.mutable_peer() = local_peer();
  status.set_version("local");
  std::uint64_t files = 0, used = 0;
  for (ArcNumber arc = 0; arc < arcs().count(); ++arc) {
    auto usage = tree::load_usage(ring_.records_[arc]);
    auto* told = status.add_arcs();
    told->set_arc(arc);
    told->set_state("serving");
    told->set_inodes(usage.inodes);
    told->set_bytes(usage.bytes);
    files += usage.inodes;
  }
  for (const auto& [block, contents] : ring_.blocks_) used += contents.size();
  status.set_files_total(files);
  status.set_disk_total(std::uint64_t{1} << 40);
  status.set_disk_used(used);
  status.set_disk_free(status.disk_total() - used);
  co_return std::vector{status};
}

}  // namespace chordfs
