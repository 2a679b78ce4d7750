// What the leader owes to members that missed something: puts, for which they compare; drops, which they are told.

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/arc/copies/copies.h"

namespace chordfs {

namespace {
constexpr Duration kRetryFirst = 1s;
constexpr Duration kRetryLast = 30s;
constexpr Duration kDropTimeout = 1s;
constexpr Duration kCompareTimeout = 2s;
constexpr Duration kComparePause = 20ms;
constexpr Duration kBusyPause = 100ms;
constexpr std::size_t kDropsAtOnce = 4096;
}  // namespace

void Copies::start_settling(ArcNumber arc, const Replica& member) {
  auto& debt = owe(arc, member);
  if (std::exchange(debt.running, true)) return;
  tasks_.spawn("settle what a member missed", settle(arc, member));
}

awaitable<void> Copies::settle(ArcNumber arc, Replica member) {
  auto pause = kRetryFirst;
  for (;;) {
    auto members = hooks_.members(arc);
    auto& debt = owe(arc, member);
    if (!members || !members->leads || !members->view.has(member)) {
      debts_.erase({arc, key(member)});
      co_return;
    }
    auto votes = members->view.votes(member);
    if (!debt.any(votes)) {
      debt.running = false;
      co_return;
    }
    auto paid = co_await pay(arc, member, votes);
    if (paid) {
      pause = kRetryFirst;
      continue;
    }
    spdlog::debug("arc {}: {} still lacks what it missed: {}", arc, member.at.text(), paid.error().text());
    co_await runtime_.sleep(runtime_.jitter(pause));
    pause = std::min(2 * pause, kRetryLast);
  }
}

awaitable<Result<void>> Copies::pay(ArcNumber arc, Replica member, bool votes) {
  if (const auto& owed = owe(arc, member).drops; !owed.empty()) {
    std::vector<std::string> drops;
    for (const auto& block : owed) {
      if (drops.size() == kDropsAtOnce) break;
      drops.push_back(block);
    }
    CO_TRY_VOID(co_await tell_dropped(arc, member, drops));
    for (const auto& block : drops) owe(arc, member).drops.erase(block);
  }
  if (votes && owe(arc, member).missed > owe(arc, member).settled) {
    auto missed = owe(arc, member).missed;
    CO_TRY_VOID(co_await let_compare(arc, member));
    owe(arc, member).settled = missed;
  }
  co_return Result<void>();
}

awaitable<Result<void>> Copies::tell_dropped(ArcNumber arc, Replica member, std::vector<std::string> blocks) {
  Request request;
  auto& drop = *request.header.mutable_drop_block();
  drop.set_arc(arc);
  drop.set_passed_on(true);
  for (auto& block : blocks) drop.add_blocks(std::move(block));
  CO_TRY_VOID(co_await call(member, std::move(request), kDropTimeout));
  co_return Result<void>();
}

awaitable<Result<void>> Copies::let_compare(ArcNumber arc, Replica member) {
  while (owe(arc, member).comparing) co_await runtime_.sleep(runtime_.jitter(kBusyPause));
  struct Comparing {
    Copies& self;
    std::pair<ArcNumber, Key> at;
    Comparing(Copies& s, std::pair<ArcNumber, Key> a) : self(s), at(std::move(a)) { self.debts_[at].comparing = true; }
    ~Comparing() {
      if (auto debt = self.debts_.find(at); debt != self.debts_.end()) debt->second.comparing = false;
    }
  } comparing(*this, {arc, key(member)});
  auto first = hooks_.members(arc);
  if (!first) co_return Error{Errc::stale, fmt::format("arc {}: no replica is here any more", arc)};
  auto run = runtime_.random();
  for (bool done = false;;) {
    auto members = hooks_.members(arc);
    // Also when it is done: another leader's puts may have missed the member.
    if (!members || !members->leads || !members->view.has(member) || members->term != first->term ||
        members->view_index != first->view_index)
      co_return Error{Errc::stale, fmt::format("arc {}: the view or its leader has changed", arc)};
    if (done) co_return Result<void>();
    Request request;
    auto& ask = *request.header.mutable_compare_blocks();
    ask.set_arc(arc);
    *ask.mutable_view() = to_wire(members->view);
    ask.set_view_index(members->view_index);
    ask.set_run(run);
    ask.set_leader(members->self.node.bytes());
    ask.set_term(members->term);
    *ask.mutable_to() = to_wire(member);
    CO_TRY(auto reply, co_await call(member, std::move(request), kCompareTimeout));
    const auto& progress = reply.header.compare_blocks();
    owe(arc, member).bytes_left = progress.bytes_left();
    done = progress.done();
    if (!done) co_await runtime_.sleep(kComparePause);
  }
}

awaitable<Result<bool>> Copies::make_complete(ArcNumber arc, Replica learner) {
  auto missed = owe(arc, learner).missed;
  CO_TRY_VOID(co_await let_compare(arc, learner));
  if (owe(arc, learner).missed != missed) co_return false;
  owe(arc, learner).settled = missed;
  co_return true;
}

bool Copies::owes_nothing(ArcNumber arc, const Replica& member) const {
  auto found = debts_.find({arc, key(member)});
  return found == debts_.end() || found->second.missed == found->second.settled;
}

void Copies::resume_settling(ArcNumber arc, const Members& members) {
  for (const auto& member : members.view.all_voters()) {
    auto found = debts_.find({arc, key(member)});
    if (found != debts_.end() && found->second.any(true)) start_settling(arc, member);
  }
}

std::uint64_t Copies::bytes_left_at(ArcNumber arc, const Replica& member) const {
  auto found = debts_.find({arc, key(member)});
  return found == debts_.end() ? 0 : found->second.bytes_left;
}

}  // namespace chordfs
