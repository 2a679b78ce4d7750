#include "tools/sim/world.h"

#include <malloc.h>

#include <algorithm>

#include "proto/base/check.h"
#include "tools/sim/incarnation.h"

namespace chordfs {

namespace {
/// Blocks and files come and go by the hundred kilobytes: by default each would be mapped, zeroed and given back.
void keep_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 16 << 20);
}
}  // namespace

World::World(WorldOptions options)
    : options_(options),
      rng_(Rng::derived(options.seed, "world")),
      trace_(options.trace_lines),
      runtime_(*this, nullptr, SimClock{}, Rng::derived(options.seed, "world runtime")),
      tasks_(runtime_),
      burials_(runtime_),
      network_(*this, Rng::derived(options.seed, "network")) {
  keep_memory();
}

World::~World() {
  tasks_.stop();
  for (auto& host : hosts_) host->crash();
  settle();
  for (const auto& dead : graveyard_)
    CHECK(dead->buried, "a program does not stop: it waits for what can never come; {} tasks left", dead->tasks.size());
  // What callbacks hold may reach for the network or a host when it is destroyed.
  events_ = {};
  loop_.drain();
}

SimHost& World::add_host(HostOptions options) {
  hosts_.push_back(std::make_unique<SimHost>(*this, static_cast<std::uint32_t>(hosts_.size()), std::move(options)));
  network_.attach(*hosts_.back());
  return *hosts_.back();
}

EventQueue::Id World::at(Time when, std::move_only_function<void()> action) {
  return events_.add(std::max(when, now_), {}, std::move(action));
}

void World::settle() {
  loop_.drain();
  for (std::uint64_t fired = 0; !graveyard_.empty(); ++fired) {
    CHECK(fired < kAfterlifeTimersMax, "a crashed program does not come to an end");
    std::vector<std::unique_ptr<SimHost::Incarnation>> buried;
    for (auto& dead : graveyard_)
      if (dead->buried) buried.push_back(std::move(dead));
    std::erase(graveyard_, nullptr);
    if (graveyard_.empty()) break;
    // Cancelling did not end it: something waits for a time limit that nobody outside will ever see.
    if (std::ranges::none_of(graveyard_, [](auto& dead) { return dead->runtime.fire_afterlife(); })) break;
  }
}

bool World::step(Time limit) {
  const auto at = events_.next();
  if (!at || *at > limit) return false;
  const auto slot = events_.pop();
  const auto owner = events_.owner(slot);
  if (owner.host != nullptr && owner.host->paused()) {
    owner.host->hold(slot);
    return true;
  }
  events_at_now_ = *at == now_ ? events_at_now_ + 1 : 0;
  CHECK(events_at_now_ < kEventsPerInstantMax, "events without end at one moment");
  now_ = *at;
  ++steps_;
  only_stepped_ = std::exchange(meddled_, false) ? nullptr : owner.host;
  auto callback = events_.take(slot);
  if (owner.runtime != nullptr)
    record(Trace::What::timer, owner.host == nullptr ? Trace::kNobody : owner.host->index());
  else if (owner.host == nullptr)
    record(Trace::What::event, Trace::kNobody);
  loop_.call(std::move(callback));
  if (!graveyard_.empty()) settle();
  for (const auto& look : looks_) look();
  return true;
}

void World::run_for(Duration duration) {
  const Time end = now_ + duration;
  meddled_ = true;
  settle();
  while (step(end));
  now_ = end;
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const Time end = now_ + limit;
  meddled_ = true;
  settle();
  while (!done()) {
    if (step(end)) continue;
    now_ = std::max(now_, end);
    return false;
  }
  return true;
}

namespace {
struct Outcome {
  bool done = false;
  std::exception_ptr error;
};

awaitable<void> watch(awaitable<void> task, Outcome& outcome) {
  try {
    co_await std::move(task);
  } catch (...) {
    outcome.error = std::current_exception();
  }
  outcome.done = true;
}
}  // namespace

void World::run(awaitable<void> task, Duration limit) {
  Outcome outcome;
  TaskGroup group(runtime_);
  group.spawn("run", watch(std::move(task), outcome));
  auto ended = [&] { return group.size() == 0; };
  if (run_until(ended, limit)) {
    if (outcome.error) std::rethrow_exception(outcome.error);
    return;
  }
  const bool quiet = !events_.next();
  group.stop();
  CHECK(run_until(ended, kRunLimit), "the coroutine given to World::run cannot be cancelled");
  throw TimedOut(quiet ? "the coroutine waits for something, but nothing is left that could happen"
                       : fmt::format("the coroutine did not end within {} virtual seconds", limit / 1s));
}

}  // namespace chordfs
