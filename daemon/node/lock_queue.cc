#include "daemon/node/lock_queue.h"

#include <algorithm>
#include <chrono>

#include "daemon/tree/file_locks.h"

namespace chordfs {

// ---- LockQueue ----

void LockQueue::join(std::uint64_t ino, const Waiter& waiter, Time now) {
  auto& queue = queues_[ino];
  std::erase_if(queue, [now](const Place& place) { return is_gone(place, now); });
  auto at = std::ranges::find_if(queue, [&](const Place& place) {
    return place.waiter.session == waiter.session && place.waiter.number == waiter.number;
  });
  if (at == queue.end() && queue.size() < kQueueMax)
    queue.push_back({waiter, now, {}});
  else if (at != queue.end())
    at->seen = now;
}

void LockQueue::expire(Time now) {
  for (auto& [ino, queue] : queues_) std::erase_if(queue, [now](const Place& place) { return is_gone(place, now); });
  std::erase_if(queues_, [](const auto& queue) { return queue.second.empty(); });
}

void LockQueue::leave(std::uint64_t ino, Session session, std::uint64_t number) {
  auto queue = queues_.find(ino);
  if (queue == queues_.end()) return;
  std::erase_if(queue->second,
                [&](const Place& place) { return place.waiter.session == session && place.waiter.number == number; });
  if (queue->second.empty()) queues_.erase(queue);
}

void LockQueue::drop(Session session) {
  for (auto& [ino, queue] : queues_)
    std::erase_if(queue, [&](const Place& place) { return place.waiter.session == session; });
  std::erase_if(queues_, [](const auto& queue) { return queue.second.empty(); });
}

bool LockQueue::is_wanted(std::uint64_t ino, const wire::FileLock& lock, Time now) const {
  auto queue = queues_.find(ino);
  if (queue == queues_.end()) return false;
  return std::ranges::any_of(queue->second, [&](const Place& place) {
    return !is_gone(place, now) && tree::conflict(place.waiter.lock, lock);
  });
}

std::optional<Time> LockQueue::must_yield(std::uint64_t ino, Session session, std::uint64_t number, Time now) {
  auto queue = queues_.find(ino);
  if (queue == queues_.end()) return std::nullopt;
  auto at = std::ranges::find_if(queue->second, [&](const Place& place) {
    return place.waiter.session == session && place.waiter.number == number;
  });
  if (at == queue->second.end()) return std::nullopt;
  auto before = [&](const Place& place) {
    return !is_gone(place, now) && tree::conflict(place.waiter.lock, at->waiter.lock);
  };
  if (std::none_of(queue->second.begin(), at, before)) return std::nullopt;
  if (!at->free_since) at->free_since = now;
  auto until = *at->free_since + kYieldFor;
  return until <= now ? std::nullopt : std::optional(until);
}

// ---- LockWaits ----

void LockWaits::told(const wire::LockWait& wait, Time now) {
  auto& waits = owners_[{wait.lock().session(), wait.lock().owner()}];
  std::erase_if(waits, [now](const auto& told) { return told.second.at + kLockWaitAge <= now; });
  waits.insert_or_assign(wait.waiter(), Told{wait, now});
}

void LockWaits::ended(const wire::LockWait& wait) {
  auto owner = owners_.find({wait.lock().session(), wait.lock().owner()});
  if (owner == owners_.end()) return;
  owner->second.erase(wait.waiter());
  if (owner->second.empty()) owners_.erase(owner);
}

void LockWaits::drop(Session session) {
  std::erase_if(owners_, [session](const auto& owner) { return owner.first.first == session; });
}

void LockWaits::expire(Time now) {
  for (auto& [owner, waits] : owners_)
    std::erase_if(waits, [now](const auto& told) { return told.second.at + kLockWaitAge <= now; });
  std::erase_if(owners_, [](const auto& owner) { return owner.second.empty(); });
}

std::vector<wire::LockWait> LockWaits::of(Session session, std::uint64_t owner, Time now) const {
  std::vector<wire::LockWait> waits;
  auto found = owners_.find({session, owner});
  if (found == owners_.end()) return waits;
  for (const auto& [number, told] : found->second) {
    if (told.at + kLockWaitAge <= now) continue;
    waits.push_back(told.wait);
    auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - told.at).count();
    waits.back().set_age_ms(told.wait.age_ms() + static_cast<std::uint64_t>(since));
  }
  return waits;
}

}  // namespace chordfs
