#pragma once
// SimRuntime: the clock, chance and turns of one incarnation of a host, or of the world itself (host null).
// Its clock is the world's, at a rate and an offset of its own, so that no two hosts can compare theirs.
// Owner: the incarnation. Thread: the world's.
//
// Death: after die() its timers no longer belong to the world. They are kept only so that a program that cannot be
// cancelled out of a wait still comes to its end while it is being buried: the world then lets the dead clock run by
// itself, with every door closed, and no time passes outside (fire_afterlife).

#include <cstdint>
#include <functional>
#include <set>
#include <tuple>

#include "proto/base/runtime.h"
#include "tools/sim/events.h"
#include "tools/sim/rng.h"

namespace chordfs {

class World;

/// host time = offset + world time · rate.
struct SimClock {
  static constexpr std::int64_t kRateOne = 1'000'000;
  std::int64_t rate = kRateOne;  ///< Millionths.
  Duration offset{};

  Time to_host(Time world) const;
  /// The first moment of the world at which to_host() is not before `host`.
  Time to_world(Time host) const;
};

class SimRuntime final : public Runtime {
 public:
  SimRuntime(World& world, SimHost* host, SimClock clock, Rng rng);
  ~SimRuntime() override;

  asio::any_io_executor executor() override;
  Time now() const override;
  std::int64_t wall_now() const override;
  std::uint64_t random() override { return rng_.next(); }
  TimerId schedule(Time when, std::move_only_function<void()> callback) override;
  void cancel(TimerId timer) override;

  bool dead() const { return dead_; }

 private:
  friend class SimHost;
  friend class World;
  void die();
  /// A popped timer of this runtime that can no longer strike in the world.
  void keep_aside(Time at, EventQueue::Slot slot);
  /// Lets the dead clock run to the next timer and fires it; false if there is none.
  bool fire_afterlife();
  void drop_timers();

  World& world_;
  SimHost* host_;
  SimClock clock_;
  Rng rng_;
  bool dead_ = false;
  Time dead_now_;  ///< The world's time, as the dead see it.
  std::uint64_t kept_ = 0;
  std::set<std::tuple<Time, std::uint64_t, EventQueue::Slot>> afterlife_;
};

}  // namespace chordfs
