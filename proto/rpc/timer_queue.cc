#include "proto/rpc/timer_queue.h"

#include <utility>

namespace chordfs {

TimerQueue::TimerId TimerQueue::add(Time when, std::move_only_function<void()> callback) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const auto slot = free_.back();
  free_.pop_back();
  slots_[slot].callback = std::move(callback);
  heap_.emplace_back();
  place(heap_.size() - 1, {when, next_order_++, slot});
  up(heap_.size() - 1);
  return TimerId{slots_[slot].generation} << 32 | slot;
}

void TimerQueue::cancel(TimerId timer) {
  const auto slot = static_cast<std::uint32_t>(timer);
  const auto generation = static_cast<std::uint32_t>(timer >> 32);
  if (slot < slots_.size() && slots_[slot].generation == generation && slots_[slot].callback) remove(slots_[slot].at);
}

void TimerQueue::run_due(Time now) {
  const auto end = next_order_;
  while (!heap_.empty() && heap_.front().when <= now && heap_.front().order < end) remove(0)();
}

std::move_only_function<void()> TimerQueue::remove(std::size_t at) {
  auto& slot = slots_[heap_[at].slot];
  auto callback = std::exchange(slot.callback, nullptr);
  ++slot.generation;
  free_.push_back(heap_[at].slot);
  const Entry last = heap_.back();
  heap_.pop_back();
  if (at < heap_.size()) {
    place(at, last);
    up(at);
    down(at);
  }
  return callback;
}

void TimerQueue::place(std::size_t at, Entry entry) {
  heap_[at] = entry;
  slots_[entry.slot].at = static_cast<std::uint32_t>(at);
}

void TimerQueue::up(std::size_t at) {
  const Entry entry = heap_[at];
  for (; at > 0; at = (at - 1) / 2) {
    const Entry above = heap_[(at - 1) / 2];
    if (!entry.before(above)) break;
    place(at, above);
  }
  place(at, entry);
}

void TimerQueue::down(std::size_t at) {
  const Entry entry = heap_[at];
  for (std::size_t child; (child = 2 * at + 1) < heap_.size(); at = child) {
    if (child + 1 < heap_.size() && heap_[child + 1].before(heap_[child])) ++child;
    if (!heap_[child].before(entry)) break;
    place(at, heap_[child]);
  }
  place(at, entry);
}

}  // namespace chordfs
