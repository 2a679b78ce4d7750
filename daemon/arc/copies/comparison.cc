#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>

#include "daemon/arc/copies/block_sums.h"
#include "daemon/arc/copies/copies.h"

namespace chordfs {

namespace {
constexpr Duration kSumsTimeout = 2s;
constexpr Duration kPushTimeout = 5s;
/// Who timed out is not asked again for so long: one dead node must not hold up comparing with the others.
constexpr Duration kSilenceTime = 3s;
constexpr Duration kRunRetry = 1s;
constexpr Duration kRunForgotten = 30s;
constexpr int kBucketsAtOnce = 16;

wire::BlockSumsRequest sums_request(ArcNumber arc) {
  wire::BlockSumsRequest request;
  request.set_arc(arc);
  return request;
}

/// `all` in portions, each as one request's buckets.
std::vector<wire::BlockSumsRequest> portions(const wire::BlockSumsRequest& request,
                                             const std::vector<std::uint32_t>& all) {
  std::vector<wire::BlockSumsRequest> requests;
  for (auto bucket : all) {
    if (requests.empty() || requests.back().buckets_size() == kBucketsAtOnce) requests.push_back(request);
    requests.back().add_buckets(bucket);
  }
  return requests;
}
}  // namespace

Result<wire::BlockSums> Copies::sums(const wire::BlockSumsRequest& request) const {
  auto members = hooks_.members(request.arc());
  if (!members) return {Errc::not_owner, fmt::format("no replica of arc {} is here", request.arc())};
  if (request.has_to()) TRY_VOID(meant_for(members->self, request.to()));
  if (request.has_asker()) {
    Replica asker{.generation = {request.asker().term(), request.asker().index()}};
    if (!Uuid::parse(request.asker().peer().node(), asker.node))
      return {Errc::bad_message, "an asker without identity"};
    if (!members->view.has(asker) || members->term < request.term())
      return {Errc::stale, fmt::format("arc {}: that view or term is not known here yet", request.arc())};
  }
  wire::BlockSums reply;
  auto held = blocks_.list(request.arc());
  if (request.buckets().empty()) {
    write(BlockSums(held), reply);
    return reply;
  }
  std::set<std::size_t> wanted(request.buckets().begin(), request.buckets().end());
  for (auto& block : held) {
    if (!wanted.contains(bucket_of(block.id))) continue;
    auto& out = *reply.add_blocks();
    out.set_block(std::move(block.id));
    out.set_length(block.length);
  }
  return reply;
}

awaitable<Result<wire::BlockSums>> Copies::ask_sums(Replica of, wire::BlockSumsRequest request) {
  Request out;
  *request.mutable_to() = to_wire(of);
  *out.header.mutable_block_sums() = std::move(request);
  CO_TRY(auto reply, co_await call(of, std::move(out), kSumsTimeout));
  co_return std::move(*reply.header.mutable_block_sums());
}

// ---- Fetching what others have ----

awaitable<Result<void>> Copies::compare_with(ArcNumber arc, std::uint64_t term, Replica self, Replica other) {
  auto alone = co_await one_comparison_.try_emplace(arc, 1).first->second.acquire();
  if (auto silent = silent_until_.find(other.node); silent != silent_until_.end() && silent->second > runtime_.now())
    co_return Error{Errc::timed_out, fmt::format("{} did not answer a moment ago", other.at.text())};
  auto place = co_await comparisons_.acquire();
  auto request = sums_request(arc);
  *request.mutable_asker() = to_wire(self);
  request.set_term(term);
  auto asked = co_await ask_sums(other, request);
  if (asked.code() == Errc::timed_out)
    silent_until_[other.node] = runtime_.now() + kSilenceTime;
  else
    silent_until_.erase(other.node);
  CO_TRY(auto theirs, std::move(asked));
  BlockSums ours(blocks_.list(arc));
  CO_TRY(auto buckets, differing(ours, theirs));
  struct Left {
    std::map<ArcNumber, std::uint64_t>& left;
    ArcNumber arc;
    ~Left() { left.erase(arc); }
  } left{left_, arc};
  for (auto bucket : buckets) {
    auto there = theirs.bytes(static_cast<int>(bucket));
    left_[arc] += there - std::min(there, ours.bytes[bucket]);
  }
  for (auto& portion : portions(request, buckets)) {
    CO_TRY(auto listed, co_await ask_sums(other, portion));
    CO_TRY_VOID(co_await fetch_all(arc, other, std::move(listed)));
  }
  co_return Result<void>();
}

/// Blocks that are being fetched from one member.
struct Copies::Fetching {
  ArcNumber arc;
  Replica from;
  std::deque<wire::BlockSums::Block> todo = {};
  std::size_t workers = kTransfersAtOnce;
  std::optional<Error> failed = {};
  OneShot<Nothing> done = {};
};

awaitable<Result<void>> Copies::fetch_all(ArcNumber arc, Replica from, wire::BlockSums listed) {
  auto fetching = std::make_shared<Fetching>(Fetching{arc, from});
  std::vector<std::string> never_told;
  for (auto& block : *listed.mutable_blocks()) {
    if (blocks_.length_of(arc, block.block())) continue;
    if (dropped(arc, block.block()))
      never_told.push_back(std::move(*block.mutable_block()));
    else
      fetching->todo.push_back(std::move(block));
  }
  // It was down when they were dropped, and so may the leader that would have told it be by now.
  if (!never_told.empty()) CO_TRY_VOID(co_await tell_dropped(arc, from, never_told));
  if (fetching->todo.empty()) co_return Result<void>();
  for (std::size_t worker = 0; worker < kTransfersAtOnce; ++worker) tasks_.spawn("fetch blocks", fetch_some(fetching));
  co_await fetching->done.wait();
  if (fetching->failed) co_return *fetching->failed;
  co_return Result<void>();
}

awaitable<void> Copies::fetch_some(std::shared_ptr<Fetching> fetching) {
  auto arc = fetching->arc;
  // One broken copy does not keep the others from being fetched; a node that is gone, or a full disk here, does.
  while (!fetching->todo.empty() && (!fetching->failed || fetching->failed->code == Errc::corrupt)) {
    auto block = std::move(fetching->todo.front());
    fetching->todo.pop_front();
    {
      auto place = co_await transfers_.acquire();
      Result<void> kept;
      if (!blocks_.length_of(arc, block.block())) {
        auto part = co_await fetch(arc, block.block(), fetching->from);
        if (part)
          kept = co_await keep(arc, block.block(), std::move(*part));
        else if (part.code() != Errc::no_block)  // Dropped meanwhile.
          kept = part.error();
      }
      if (!kept) fetching->failed = kept.error();
    }
    if (auto left = left_.find(arc); left != left_.end())
      left->second -= std::min<std::uint64_t>(left->second, block.length());
  }
  if (--fetching->workers == 0) fetching->done.set({});
}

// ---- Asked for by the leader ----

struct Copies::Run {
  std::uint64_t id;
  ArcNumber arc;
  std::uint64_t term;
  ArcView view;
  Replica self;
  std::optional<Replica> leader;
  Time asked{};
  std::set<Key> compared = {};
  bool done = false;
  bool abandoned = false;
  Signal changed = {};

  bool complete() const {
    if (leader && !(*leader == self) && !compared.contains(key(*leader))) return false;
    return majority(view, [this](const Replica& one) { return one == self || compared.contains(key(one)); });
  }
};

awaitable<Result<wire::CompareProgress>> Copies::compare(wire::CompareBlocks ask) {
  auto arc = ask.arc();
  auto members = hooks_.members(arc);
  if (!members) co_return Error{Errc::not_owner, fmt::format("no replica of arc {} is here", arc)};
  if (ask.has_to()) CO_TRY_VOID(meant_for(members->self, ask.to()));
  auto view = view_from(ask.view());
  Uuid leader;
  if (!view || !Uuid::parse(ask.leader(), leader)) co_return Error{Errc::bad_message, "compare: no view or no leader"};
  if (!view->has(members->self))
    co_return Error{Errc::stale, fmt::format("arc {}: this replica is not in that view", arc)};
  auto found = runs_.find(arc);
  auto current = found == runs_.end() ? nullptr : found->second;
  if (!current || current->id != ask.run()) {
    abandon_run(arc);
    const auto* leading = view->find(leader);
    current = std::make_shared<Run>(Run{ask.run(), arc, ask.term(), *view, members->self, {}});
    if (leading) current->leader = *leading;
    current->asked = runtime_.now();
    runs_[arc] = current;
    tasks_.spawn("compare blocks for the leader", run(current));
  }
  current->asked = runtime_.now();
  auto until = runtime_.now() + kCompareReplyTime;
  while (!current->done && !current->abandoned && runtime_.now() < until)
    co_await current->changed.wait_for(runtime_, until - runtime_.now());
  wire::CompareProgress progress;
  progress.set_done(current->done);
  progress.set_bytes_left(bytes_left(arc));
  co_return progress;
}

awaitable<void> Copies::run(std::shared_ptr<Run> run) {
  auto others = run->view.all_voters();
  std::erase(others, run->self);
  // First the leader, who has most; the others then cost little.
  if (auto first = std::ranges::find(others, run->leader); first != others.end()) std::swap(*first, others.front());
  while (!(run->done = run->complete())) {
    if (run->abandoned || run->asked + kRunForgotten < runtime_.now()) {
      if (auto at = runs_.find(run->arc); at != runs_.end() && at->second == run) abandon_run(run->arc);
      co_return;
    }
    for (const auto& other : others) {
      if (run->compared.contains(key(other)) || run->complete() || run->abandoned) continue;
      auto compared = co_await compare_with(run->arc, run->term, run->self, other);
      if (compared)
        run->compared.insert(key(other));
      else
        spdlog::debug("arc {}: not compared with {}: {}", run->arc, other.at.text(), compared.error().text());
    }
    if (!run->complete()) co_await runtime_.sleep(runtime_.jitter(kRunRetry));
  }
  run->changed.notify_all();
}

void Copies::abandon_run(ArcNumber arc) {
  auto at = runs_.find(arc);
  if (at == runs_.end()) return;
  at->second->abandoned = true;
  at->second->changed.notify_all();
  runs_.erase(at);
}

std::uint64_t Copies::bytes_left(ArcNumber arc) const {
  auto left = left_.find(arc);
  return left == left_.end() ? 0 : left->second;
}

// ---- Pushing what nobody else may have ----

awaitable<Result<bool>> Copies::hand_back(ArcNumber arc, ArcView members) {
  for (const auto& member : members.everybody()) {
    if (auto now = hooks_.members(arc); now && now->view.has(now->self)) co_return false;
    CO_TRY_VOID(co_await push_to(arc, member));
  }
  co_return true;
}

awaitable<Result<void>> Copies::push_to(ArcNumber arc, Replica member) {
  auto request = sums_request(arc);
  CO_TRY(auto theirs, co_await ask_sums(member, request));
  auto held = blocks_.list(arc);
  CO_TRY(auto buckets, differing(BlockSums(held), theirs));
  for (auto& portion : portions(request, buckets)) {
    CO_TRY(auto listed, co_await ask_sums(member, portion));
    std::set<std::size_t> wanted(portion.buckets().begin(), portion.buckets().end());
    std::set<std::string> there;
    for (const auto& block : listed.blocks()) there.insert(block.block());
    for (const auto& block : held)
      if (wanted.contains(bucket_of(block.id)) && !there.contains(block.id))
        CO_TRY_VOID(co_await push(arc, block.id, block.length, member));
  }
  co_return Result<void>();
}

awaitable<Result<void>> Copies::push(ArcNumber arc, std::string block, std::uint32_t length, Replica to) {
  auto place = co_await transfers_.acquire();
  auto part = co_await blocks_.get(arc, block, 0, length);
  if (part.code() == Errc::no_block) co_return Result<void>();  // Dropped meanwhile.
  if (part.code() == Errc::corrupt) {
    spdlog::error("the copy of block {} of arc {} cannot be handed back: {}", hex(block), arc, part.error().text());
    co_return Result<void>();  // It is suspect now: no copy that this node holds.
  }
  if (!part) co_return part.error();
  Request request;
  auto& put = *request.header.mutable_put_block();
  put.set_arc(arc);
  put.set_block(std::move(block));
  put.set_crc(part->block_crc);
  put.set_passed_on(true);
  put.set_copy(true);
  request.payload = std::move(part->bytes);
  auto put_there = co_await call(to, std::move(request), kPushTimeout);
  if (!put_there && put_there.code() != Errc::stale) co_return put_there.error();  // stale: it was dropped there.
  co_return Result<void>();
}

}  // namespace chordfs
