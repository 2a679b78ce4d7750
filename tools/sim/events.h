#pragma once
// EventQueue: everything that will happen, ordered by (time, number of insertion). A binary heap of small entries that
// point to slots; cancelling only marks the slot. Pure; owned by the World.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "proto/base/runtime.h"

namespace chordfs {

class SimHost;
class SimRuntime;

class EventQueue {
 public:
  /// Names one event for cancel(); never reused.
  using Id = std::uint64_t;
  using Slot = std::uint32_t;

  /// To whom an event happens.
  struct Owner {
    SimHost* host = nullptr;        ///< It waits while this host is paused.
    SimRuntime* runtime = nullptr;  ///< It is a timer of this runtime, and goes with it.
  };

  Id add(Time at, Owner owner, std::move_only_function<void()> callback);
  /// Harmless if the event has happened.
  void cancel(Id id);

  /// When the next event is due.
  std::optional<Time> next();
  /// Removes the next event from the order; its slot stays taken until take() or put_back(). next() must have a value.
  Slot pop();
  Owner owner(Slot slot) const { return slots_[slot].owner; }
  /// Frees the slot. The callback is null if the event has been cancelled since pop().
  std::move_only_function<void()> take(Slot slot);
  void put_back(Slot slot, Time at);
  /// Removes every timer of `runtime` from the order, as pop() does; in order, with their times.
  struct Removed {
    Time at;
    Slot slot;
  };
  std::vector<Removed> remove(const SimRuntime* runtime);
  /// A slot outside the order, as if added and popped at once.
  std::pair<Id, Slot> add_aside(Owner owner, std::move_only_function<void()> callback);

  std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    Time at;
    std::uint64_t number;
    Slot slot;
    /// Heaps of the standard library have the greatest on top.
    friend bool operator<(const Entry& a, const Entry& b) { return a.at != b.at ? a.at > b.at : a.number > b.number; }
  };
  struct Content {
    std::move_only_function<void()> callback;
    Owner owner;
    std::uint32_t generation = 1;
    bool cancelled = false;
  };

  Slot new_slot(Owner owner, std::move_only_function<void()> callback);
  void free_slot(Slot slot);
  void push(Time at, Slot slot);
  void sweep();

  std::vector<Entry> heap_;
  std::vector<Content> slots_;
  std::vector<Slot> free_;
  std::uint64_t inserted_ = 0;
  std::size_t cancelled_ = 0;
};

}  // namespace chordfs
