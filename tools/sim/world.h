#pragma once
// World: the virtual world in which production code runs deterministically in one thread: one seed, one clock, one
// queue of events, hosts and a network. Start here, then host.h (programs and their deaths) and network.h (faults).
//
//   World world(seed);
//   SimHost& host = world.add_host({.program = [](Runtime& r, Transport& t) { return std::make_unique<Node>(r, t); }});
//   host.start();
//   world.run(scenario(world));                       // or run_for, run_until
//   if (HasFailure()) std::cout << world.trace().text();
//
// One step: the next event happens (a timer strikes, a message arrives), everything that becomes ready runs until
// nothing is, the dead are buried, and the functions given to after_step() look on. Time passes only between steps.
//
// Owner: the test; everything that hosts' programs use must outlive it, so declare the world after it. Thread: one;
// nothing here may be called from another. Errors: misuse is CHECKed; run() throws what its coroutine throws, or
// TimedOut. Limits: kEventsPerInstantMax events at one moment, ReadyLoop::kHandlersPerInstantMax handlers in one step,
// kAfterlifeTimersMax timers for burying one step's dead.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "proto/base/task.h"
#include "tools/sim/events.h"
#include "tools/sim/executor.h"
#include "tools/sim/host.h"
#include "tools/sim/network.h"
#include "tools/sim/rng.h"
#include "tools/sim/runtime.h"
#include "tools/sim/trace.h"

namespace chordfs {

struct WorldOptions {
  std::uint64_t seed = 1;
  std::size_t trace_lines = Trace::kLinesDefault;
};

class World {
 public:
  static constexpr Duration kRunLimit = 1h;
  static constexpr std::uint64_t kEventsPerInstantMax = 10'000'000;
  static constexpr std::uint64_t kAfterlifeTimersMax = 100'000;

  /// run()'s coroutine did not end within the limit of virtual time, or nothing was left that could end it.
  struct TimedOut : std::runtime_error {
    using std::runtime_error::runtime_error;
  };

  explicit World(WorldOptions options);
  explicit World(std::uint64_t seed) : World(WorldOptions{.seed = seed}) {}
  /// Crashes every host and buries it.
  ~World();
  World(const World&) = delete;

  std::uint64_t seed() const { return options_.seed; }
  /// The world's own time; it begins at zero.
  Time now() const { return now_; }
  Duration elapsed() const { return now_.time_since_epoch(); }
  /// For the workload of a test. The network, the hosts and chaos have streams of their own.
  Rng& rng() { return rng_; }
  /// For coroutines that belong to no host; its clock is now().
  Runtime& runtime() { return runtime_; }
  asio::any_io_executor executor() { return loop_.executor(); }
  SimNetwork& network() { return network_; }
  Trace& trace() { return trace_; }
  std::uint64_t trace_hash() const { return trace_.hash(); }
  /// Words of the test into the trace, and so into its hash.
  void note(std::string_view text) { trace_.note(now_, text); }
  std::uint64_t steps() const { return steps_; }

  SimHost& add_host(HostOptions options = {});
  SimHost& host(std::size_t index) { return *hosts_.at(index); }
  std::size_t host_count() const { return hosts_.size(); }

  /// Something that happens to the world from outside; cancel() forgets it.
  EventQueue::Id at(Time when, std::move_only_function<void()> action);
  EventQueue::Id after(Duration delay, std::move_only_function<void()> action) {
    return at(now_ + delay, std::move(action));
  }
  void cancel(EventQueue::Id event) { events_.cancel(event); }
  /// A coroutine beside run(); cancelled when the world ends. It must not use a host's runtime or transport.
  void spawn(std::string name, awaitable<void> task) { tasks_.spawn(std::move(name), std::move(task)); }
  /// Called after every step, in order of registration. Must not change the world.
  void after_step(std::function<void()> look) { looks_.push_back(std::move(look)); }
  /// For after_step: the only host that ran since it was called last, memory, disk and all. Nothing: perhaps several,
  /// for something came from outside.
  const SimHost* only_stepped() const { return only_stepped_; }

  void run_for(Duration duration);
  /// Stops after the first step that makes `done` true; false if `limit` passed first.
  bool run_until(const std::function<bool()>& done, Duration limit);
  /// Drives the world until the coroutine ends; throws what it throws.
  void run(awaitable<void> task, Duration limit = kRunLimit);
  template <class T>
  T run(awaitable<T> task, Duration limit = kRunLimit) {
    std::optional<T> value;
    run(store(std::move(task), value), limit);
    return std::move(*value);
  }

 private:
  friend class SimHost;
  friend class SimNetwork;
  friend class SimRuntime;
  friend class SimTransport;

  template <class T>
  static awaitable<void> store(awaitable<T> task, std::optional<T>& value) {
    value.emplace(co_await std::move(task));
  }

  void record(Trace::What what, std::uint32_t host) { trace_.add({.at = now_, .what = what, .from = host}); }
  /// One step, if an event is due by `limit`.
  bool step(Time limit);
  /// Runs what is ready and buries the dead.
  void settle();

  const WorldOptions options_;
  ReadyLoop loop_;
  EventQueue events_;
  Time now_{};
  Rng rng_;
  Trace trace_;
  std::uint64_t steps_ = 0;
  std::uint64_t events_at_now_ = 0;
  const SimHost* only_stepped_ = nullptr;
  bool meddled_ = true;  ///< Between two steps the test may do anything to any host.
  SimRuntime runtime_;
  TaskGroup tasks_;
  TaskGroup burials_;  ///< Never cancelled.
  SimNetwork network_;
  std::vector<std::unique_ptr<SimHost>> hosts_;
  std::vector<std::unique_ptr<SimHost::Incarnation>> graveyard_;
  std::vector<std::function<void()>> looks_;
};

}  // namespace chordfs
