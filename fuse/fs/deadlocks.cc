#include "fuse/fs/deadlocks.h"

#include <algorithm>
#include <set>
#include <utility>

namespace chordfs::fs {

namespace {
using Owner = std::pair<std::uint64_t, std::uint64_t>;

Owner owner_of(const wire::FileLock& lock) {
  return {lock.session(), lock.owner()};
}

auto rank(const wire::LockWait& wait) {
  return std::tuple(wait.lock().session(), wait.lock().owner(), wait.waiter());
}
}  // namespace

awaitable<Result<std::vector<wire::FileLock>>> Deadlocks::blockers(wire::LockWait wait) {
  wire::Query query;
  query.mutable_find_locks()->set_ino(wait.ino());
  *query.mutable_find_locks()->mutable_lock() = wait.lock();
  CO_TRY(auto answer, co_await core_.ask(wait.ino(), std::move(query)));
  co_return std::vector<wire::FileLock>(answer.locks().begin(), answer.locks().end());
}

awaitable<Result<Deadlocks::Waits>> Deadlocks::waits_of(wire::FileLock holder) {
  wire::Query query;
  query.mutable_waits_of()->set_session(holder.session());
  query.mutable_waits_of()->set_owner(holder.owner());
  CO_TRY(auto answer, co_await core_.client.query(core_.client.arc_of_ino(holder.session()), std::move(query)));
  co_return Waits(answer.waits().begin(), answer.waits().end());
}

awaitable<Result<Deadlocks::Waits>> Deadlocks::find_circle(wire::LockWait mine) {
  struct Met {
    wire::LockWait wait;
    std::size_t from;
  };
  std::vector<Met> met{{mine, 0}};
  std::set<Owner> seen;
  for (std::size_t at = 0; at < met.size() && met.size() < kWaitsMax; ++at) {
    CO_TRY(auto holders, co_await blockers(met[at].wait));
    for (const auto& holder : holders) {
      if (owner_of(holder) == owner_of(mine.lock())) {
        Waits circle;
        for (auto back = at; back != 0; back = met[back].from) circle.push_back(met[back].wait);
        circle.push_back(mine);
        std::ranges::reverse(circle);
        co_return circle;
      }
      if (!seen.insert(owner_of(holder)).second) continue;
      CO_TRY(auto waits, co_await waits_of(holder));
      for (auto& wait : waits) met.push_back({std::move(wait), at});
    }
  }
  co_return Waits();
}

awaitable<Result<bool>> Deadlocks::still_holds(Waits& circle) {
  for (std::size_t at = 0; at < circle.size(); ++at) {
    const auto next = owner_of(circle[(at + 1) % circle.size()].lock());
    if (at != 0) {
      CO_TRY(auto waits, co_await waits_of(circle[at].lock()));
      auto same = std::ranges::find(waits, circle[at].waiter(), &wire::LockWait::waiter);
      if (same == waits.end()) co_return false;
      circle[at].set_age_ms(same->age_ms());
    }
    CO_TRY(auto holders, co_await blockers(circle[at]));
    if (!std::ranges::any_of(holders, [&](const auto& holder) { return owner_of(holder) == next; })) co_return false;
  }
  co_return true;
}

awaitable<bool> Deadlocks::must_give_up(wire::LockWait mine, int& rounds) {
  const auto begun = core_.runtime().now();
  auto circle = co_await find_circle(mine);
  if (!circle || circle->empty()) co_return false;
  auto holds = co_await still_holds(*circle);
  if (!holds || !*holds) co_return false;
  ++rounds;
  const auto took = static_cast<std::uint64_t>((core_.runtime().now() - begun) / 1ms);
  auto is_older = [&](const wire::LockWait& other) {
    return rank(other) == rank(mine) || other.age_ms() > mine.age_ms() + took;
  };
  if (std::ranges::all_of(*circle, is_older)) co_return true;
  co_return rounds >= kRoundsMax&& std::ranges::max(*circle, {}, rank).waiter() == mine.waiter() &&
      owner_of(std::ranges::max(*circle, {}, rank).lock()) == owner_of(mine.lock());
}

}  // namespace chordfs::fs
