#include "tools/sim/events.h"

#include <algorithm>

namespace chordfs {

EventQueue::Slot EventQueue::new_slot(Owner owner, std::move_only_function<void()> callback) {
  if (free_.empty()) {
    free_.push_back(static_cast<Slot>(slots_.size()));
    slots_.emplace_back();
  }
  const Slot slot = free_.back();
  free_.pop_back();
  slots_[slot].callback = std::move(callback);
  slots_[slot].owner = owner;
  return slot;
}

void EventQueue::free_slot(Slot slot) {
  auto& content = slots_[slot];
  if (content.cancelled) --cancelled_;
  content.cancelled = false;
  content.callback = nullptr;
  ++content.generation;
  free_.push_back(slot);
}

void EventQueue::push(Time at, Slot slot) {
  heap_.push_back({at, inserted_++, slot});
  std::push_heap(heap_.begin(), heap_.end());
}

EventQueue::Id EventQueue::add(Time at, Owner owner, std::move_only_function<void()> callback) {
  const Slot slot = new_slot(owner, std::move(callback));
  push(at, slot);
  return Id{slots_[slot].generation} << 32 | slot;
}

std::pair<EventQueue::Id, EventQueue::Slot> EventQueue::add_aside(Owner owner,
                                                                  std::move_only_function<void()> callback) {
  const Slot slot = new_slot(owner, std::move(callback));
  return {Id{slots_[slot].generation} << 32 | slot, slot};
}

void EventQueue::cancel(Id id) {
  const auto slot = static_cast<Slot>(id);
  if (slot >= slots_.size() || slots_[slot].generation != id >> 32 || slots_[slot].cancelled) return;
  slots_[slot].cancelled = true;
  // Destroyed last: what the callback holds may come back here.
  auto dropped = std::move(slots_[slot].callback);
  slots_[slot].callback = nullptr;
  if (++cancelled_ > 1000 && cancelled_ * 2 > heap_.size()) sweep();
}

// Most timers are time limits that never strike: without this the heap would be full of them.
void EventQueue::sweep() {
  auto gone = [this](const Entry& entry) { return slots_[entry.slot].cancelled; };
  std::vector<Slot> freed;
  std::erase_if(heap_, [&](const Entry& entry) {
    if (!gone(entry)) return false;
    freed.push_back(entry.slot);
    return true;
  });
  for (Slot slot : freed) free_slot(slot);
  std::make_heap(heap_.begin(), heap_.end());
}

std::optional<Time> EventQueue::next() {
  while (!heap_.empty() && slots_[heap_.front().slot].cancelled) free_slot(pop());
  if (heap_.empty()) return std::nullopt;
  return heap_.front().at;
}

EventQueue::Slot EventQueue::pop() {
  std::pop_heap(heap_.begin(), heap_.end());
  const Slot slot = heap_.back().slot;
  heap_.pop_back();
  return slot;
}

std::move_only_function<void()> EventQueue::take(Slot slot) {
  auto callback = std::move(slots_[slot].callback);
  free_slot(slot);
  return callback;
}

void EventQueue::put_back(Slot slot, Time at) {
  push(at, slot);
}

std::vector<EventQueue::Removed> EventQueue::remove(const SimRuntime* runtime) {
  std::vector<Entry> mine;
  std::erase_if(heap_, [&](const Entry& entry) {
    if (slots_[entry.slot].owner.runtime != runtime) return false;
    mine.push_back(entry);
    return true;
  });
  std::make_heap(heap_.begin(), heap_.end());
  std::sort(mine.begin(), mine.end(), [](const Entry& a, const Entry& b) { return b < a; });
  std::vector<Removed> removed;
  removed.reserve(mine.size());
  for (const auto& entry : mine) removed.push_back({entry.at, entry.slot});
  return removed;
}

}  // namespace chordfs
