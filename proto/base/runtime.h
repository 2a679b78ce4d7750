#pragma once
// Runtime: the only door through which protocol code gets time, chance and a turn to run. The real one stands on an
// Asio io_context (proto/rpc), the simulated one on a virtual clock (tools/sim).
// Thread: one thread owns a Runtime and everything that runs on it.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>

namespace chordfs {

namespace asio = boost::asio;
using asio::awaitable;

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

/// A point on the runtime's own steady clock. Comparable only within one Runtime.
struct RuntimeClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<RuntimeClock>;
  static constexpr bool is_steady = true;
};
using Time = RuntimeClock::time_point;

class Runtime {
 public:
  using TimerId = std::uint64_t;

  virtual ~Runtime() = default;

  virtual asio::any_io_executor executor() = 0;
  virtual Time now() const = 0;
  /// Nanoseconds since 1970, for timestamps that people read. Never for protocol decisions.
  virtual std::int64_t wall_now() const = 0;
  /// 64 uniform bits; cryptographic in the real world, seeded in the simulated one.
  virtual std::uint64_t random() = 0;
  /// Calls `callback` once at `when` (or at once, if past) from the executor. Equal times fire in order of scheduling.
  virtual TimerId schedule(Time when, std::move_only_function<void()> callback) = 0;
  /// Forgets a timer; harmless if it has fired.
  virtual void cancel(TimerId timer) = 0;

  /// Throws boost::system::system_error(operation_aborted) when the coroutine is cancelled.
  awaitable<void> sleep(Duration duration);
  /// Uniform in [0, bound); bound > 0. Our own, because the standard distributions differ between libraries.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [duration·(1 − spread), duration·(1 + spread)]: keeps periodic work of many nodes apart.
  Duration jitter(Duration duration, double spread = 0.25);
};

}  // namespace chordfs
