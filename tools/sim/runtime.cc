#include "tools/sim/runtime.h"

#include <algorithm>

#include "tools/sim/host.h"
#include "tools/sim/world.h"

namespace chordfs {

namespace {
constexpr std::int64_t kWallStart = 1'700'000'000'000'000'000;  // 2023-11-14: no test depends on today.
}

Time SimClock::to_host(Time world) const {
  const auto elapsed = static_cast<__int128>(world.time_since_epoch().count()) * rate / kRateOne;
  return Time(offset + Duration(static_cast<std::int64_t>(elapsed)));
}

Time SimClock::to_world(Time host) const {
  const auto elapsed = static_cast<__int128>(host.time_since_epoch().count()) - offset.count();
  if (elapsed <= 0) return Time{};
  const auto world = (elapsed * kRateOne + rate - 1) / rate;
  return Time(Duration(static_cast<std::int64_t>(std::min<__int128>(world, Duration::max().count()))));
}

SimRuntime::SimRuntime(World& world, SimHost* host, SimClock clock, Rng rng)
    : world_(world), host_(host), clock_(clock), rng_(rng) {}

SimRuntime::~SimRuntime() {
  drop_timers();
}

asio::any_io_executor SimRuntime::executor() {
  return world_.executor();
}

Time SimRuntime::now() const {
  return clock_.to_host(dead_ ? dead_now_ : world_.now());
}

std::int64_t SimRuntime::wall_now() const {
  const Duration error = host_ == nullptr ? Duration{} : host_->wall_error();
  return kWallStart + (world_.now().time_since_epoch() + error).count();
}

SimRuntime::TimerId SimRuntime::schedule(Time when, std::move_only_function<void()> callback) {
  const Time at = clock_.to_world(when);
  if (!dead_) return world_.events_.add(std::max(at, world_.now()), {host_, this}, std::move(callback));
  const auto [id, slot] = world_.events_.add_aside({host_, this}, std::move(callback));
  keep_aside(std::max(at, dead_now_), slot);
  return id;
}

void SimRuntime::cancel(TimerId timer) {
  world_.events_.cancel(timer);
}

void SimRuntime::die() {
  dead_ = true;
  dead_now_ = world_.now();
  for (const auto& [at, slot] : world_.events_.remove(this)) keep_aside(at, slot);
}

void SimRuntime::keep_aside(Time at, EventQueue::Slot slot) {
  afterlife_.emplace(at, kept_++, slot);
}

bool SimRuntime::fire_afterlife() {
  while (!afterlife_.empty()) {
    const auto [at, number, slot] = *afterlife_.begin();
    afterlife_.erase(afterlife_.begin());
    auto callback = world_.events_.take(slot);
    if (!callback) continue;
    dead_now_ = std::max(dead_now_, at);
    world_.loop_.call(std::move(callback));
    return true;
  }
  return false;
}

void SimRuntime::drop_timers() {
  while (!afterlife_.empty()) {
    const auto slot = std::get<EventQueue::Slot>(*afterlife_.begin());
    afterlife_.erase(afterlife_.begin());
    auto dropped = world_.events_.take(slot);
  }
}

}  // namespace chordfs
