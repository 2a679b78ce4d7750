#pragma once
// Timers in order of their time, equal times in order of their making. Pure: the caller says what time it is.
// Owner: a Runtime. Thread: the owner's. Errors: none. Limits: none.

#include <cstdint>
#include <functional>
#include <vector>

#include "proto/base/runtime.h"

namespace chordfs {

class TimerQueue {
 public:
  using TimerId = Runtime::TimerId;

  TimerId add(Time when, std::move_only_function<void()> callback);
  /// Harmless if the timer has run or is running.
  void cancel(TimerId timer);
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  /// The earliest time; not empty().
  Time first() const { return heap_.front().when; }
  /// Runs what is due. Timers added meanwhile wait for the next time, so that one that re-adds itself starves nobody.
  void run_due(Time now);

 private:
  struct Entry {
    Time when;
    std::uint64_t order = 0;
    std::uint32_t slot = 0;
    bool before(const Entry& other) const { return when != other.when ? when < other.when : order < other.order; }
  };
  /// A timer's callback and its place in the heap. Slots are used again, under another generation.
  struct Slot {
    std::move_only_function<void()> callback;
    std::uint32_t generation = 1;  ///< Never 0, so that TimerId 0 is no timer.
    std::uint32_t at = 0;
  };

  void place(std::size_t at, Entry entry);
  void up(std::size_t at);
  void down(std::size_t at);
  /// Takes the entry out of the heap and frees its slot.
  std::move_only_function<void()> remove(std::size_t at);

  std::vector<Entry> heap_;  ///< Binary heap, earliest first.
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::uint64_t next_order_ = 0;
};

}  // namespace chordfs
