#include "daemon/arc/copies/copies.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/arc/raft/defects.h"

namespace chordfs {

namespace {
constexpr Duration kResendPause = 100ms;

Error not_leader(ArcNumber arc) {
  return {Errc::not_owner, fmt::format("this node does not lead arc {}", arc)};
}
}  // namespace

/// One block from a client on its way to all members.
struct Copies::Put {
  ArcNumber arc;
  std::string block;
  Bytes contents;
  std::uint32_t crc;
  Time deadline;
  enum class State { waiting, failing, stored };
  std::map<Key, State> at = {};
  std::optional<Error> failed_here = {};
  bool over = false;  ///< The client has its answer.
  Signal changed = {};

  bool stored(const Replica& replica) const {
    auto found = at.find(key(replica));
    return found != at.end() && found->second == State::stored;
  }
  bool waits_for(const Replica& replica) const {
    auto found = at.find(key(replica));
    return found == at.end() || found->second == State::waiting;
  }
  void set(const Replica& replica, State state) {
    at[key(replica)] = state;
    changed.notify_all();
  }
  bool acknowledged(const Members& members, bool late) const {
    if (planted(Defect::block_acknowledged_early)) return stored(members.self);
    if (!stored(members.self) && !late) return false;
    if (!majority(members.view, [this](const Replica& replica) { return stored(replica); })) return false;
    return late || std::ranges::none_of(members.view.everybody(), [&](const Replica& replica) {
             return members.live.contains(replica.node) && waits_for(replica);
           });
  }
};

Copies::Copies(Runtime& runtime, BlockStore& blocks, Hooks hooks)
    : runtime_(runtime),
      blocks_(blocks),
      hooks_(std::move(hooks)),
      comparisons_(kComparisonsAtOnce),
      transfers_(kTransfersAtOnce),
      tasks_(runtime) {}

void Copies::start() {
  tasks_.spawn("compare blocks", compare_when_due());
  tasks_.spawn("scrub blocks", scrub());
}

awaitable<void> Copies::stop() {
  tasks_.stop();
  co_await tasks_.join();
}

awaitable<Result<Reply>> Copies::call(const Replica& to, Request request, Duration timeout) {
  co_return answered(co_await hooks_.call(to_wire(to).peer(), std::move(request), timeout));
}

// ---- Put ----

awaitable<Result<void>> Copies::put(ArcNumber arc, std::string block, Bytes contents, std::uint32_t crc) {
  auto members = hooks_.members(arc);
  if (!members || !members->leads) co_return not_leader(arc);
  if (dropped(arc, block)) co_return Error{Errc::stale, fmt::format("block {} was dropped", hex(block))};
  auto put = std::make_shared<Put>(Put{arc, std::move(block), std::move(contents), crc, runtime_.now() + kPutTime});
  put->at[key(members->self)] = Put::State::waiting;
  tasks_.spawn("store a block", store_own(put));
  for (;;) {
    // Anew each time: whoever has joined the view meanwhile must have the block too. What older members have said stays
    // true: they held it before they knew the new view, so it stands in the sums that a learner asks them for.
    members = hooks_.members(arc);
    if (!members || !members->leads) break;
    for (const auto& member : members->view.everybody())
      if (put->at.try_emplace(key(member), Put::State::waiting).second)
        tasks_.spawn("pass a block on", send(put, member));
    if (put->failed_here) co_return *put->failed_here;
    bool late = runtime_.now() >= put->deadline;
    if (put->acknowledged(*members, late)) {
      note_missed(*put, *members);
      put->over = true;
      co_return Result<void>();
    }
    if (late) break;
    co_await put->changed.wait_for(runtime_, put->deadline - runtime_.now());
  }
  put->over = true;
  co_return Error{Errc::timed_out, fmt::format("block {} of arc {}: no majority has stored it", hex(put->block), arc)};
}

awaitable<void> Copies::store_own(std::shared_ptr<Put> put) {
  auto self = hooks_.members(put->arc)->self;
  auto stored = co_await blocks_.put(put->arc, put->block, put->contents, put->crc);
  if (!stored) put->failed_here = stored.error();
  put->set(self, stored ? Put::State::stored : Put::State::failing);
}

awaitable<void> Copies::send(std::shared_ptr<Put> put, Replica to) {
  while (!put->over && runtime_.now() < put->deadline) {
    auto members = hooks_.members(put->arc);
    if (!members || !members->leads) break;
    Request request;
    auto& out = *request.header.mutable_put_block();
    out.set_arc(put->arc);
    out.set_block(put->block);
    out.set_crc(put->crc);
    out.set_passed_on(true);
    out.set_term(members->term);
    out.set_view_index(members->view_index);
    *out.mutable_to() = to_wire(to);
    request.payload = put->contents;
    auto reply = co_await call(to, std::move(request), put->deadline - runtime_.now());
    put->set(to, reply ? Put::State::stored : Put::State::failing);
    if (reply) break;
    co_await runtime_.sleep(kResendPause);
  }
}

void Copies::note_missed(const Put& put, const Members& members) {
  for (const auto& member : members.view.everybody()) {
    if (put.stored(member)) continue;
    if (member == members.self) {
      changed(put.arc);
      continue;
    }
    ++owe(put.arc, member).missed;
    start_settling(put.arc, member);
  }
}

awaitable<Result<void>> Copies::put_here(wire::PutBlock put, Bytes contents) {
  auto refused = [&]() -> std::optional<Error> {
    auto members = hooks_.members(put.arc());
    if (!members) return Error{Errc::not_owner, fmt::format("no replica of arc {} is here", put.arc())};
    if (put.has_to())
      if (auto meant = meant_for(members->self, put.to()); !meant) return meant.error();
    if (!put.copy() && (members->term > put.term() || members->view_index > put.view_index()))
      return Error{Errc::stale, fmt::format("arc {} has a newer leader or view", put.arc())};
    if (dropped(put.arc(), put.block()))
      return Error{Errc::stale, fmt::format("block {} was dropped", hex(put.block()))};
    return std::nullopt;
  };
  if (auto error = refused()) co_return *error;
  CO_TRY_VOID(co_await blocks_.put(put.arc(), put.block(), std::move(contents), put.crc()));
  // Again: a learner of a view that came meanwhile may have been told what is here before this was.
  if (auto error = refused()) co_return *error;
  co_return Result<void>();
}

// ---- Drop ----

awaitable<Result<void>> Copies::drop(ArcNumber arc, std::vector<std::string> blocks, Drop drop) {
  auto members = hooks_.members(arc);
  if (drop == Drop::everywhere && (!members || !members->leads)) co_return not_leader(arc);
  for (const auto& block : blocks) tombstones_.add(arc, block, runtime_.now());
  if (drop == Drop::everywhere) {
    for (const auto& member : members->view.everybody()) {
      if (member == members->self) continue;
      auto& drops = owe(arc, member).drops;
      if (drops.size() < kTombstonesMax) drops.insert(blocks.begin(), blocks.end());
      start_settling(arc, member);
    }
  }
  Result<void> first;
  for (auto& block : blocks) {
    auto erased = co_await blocks_.erase(arc, std::move(block));
    if (!erased && first) first = erased;
  }
  co_return first;
}

}  // namespace chordfs
