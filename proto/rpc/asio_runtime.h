#pragma once
// AsioRuntime: the real Runtime. Time from the steady clock, chance from OpenSSL, turns from an io_context.
// Owner: the program, which also owns the io_context (it must live longer) and runs it on exactly one thread.
// Thread: that one; other threads hand work over with asio::post(runtime.executor(), …).
// Limits: none on the number of timers; each costs about a hundred bytes and a logarithm.

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <optional>

#include "proto/base/runtime.h"
#include "proto/rpc/timer_queue.h"

namespace chordfs {

class AsioRuntime final : public Runtime {
 public:
  explicit AsioRuntime(asio::io_context& io);

  asio::any_io_executor executor() override { return executor_; }
  Time now() const override;
  std::int64_t wall_now() const override;
  std::uint64_t random() override;
  TimerId schedule(Time when, std::move_only_function<void()> callback) override;
  void cancel(TimerId timer) override { timers_.cancel(timer); }

 private:
  /// Makes the one system timer fire no later than the first of timers_.
  void arm();
  void fire();

  asio::any_io_executor executor_;
  TimerQueue timers_;
  asio::steady_timer alarm_;
  Time armed_for_ = Time::max();  ///< Time::max(): not armed.
  std::array<std::uint64_t, 512> entropy_;
  std::size_t entropy_left_ = 0;
};

/// Runs `io` until `task` has ended; gives its value or throws its exception. For main functions and tests. Whatever
/// else runs on `io` stands still afterwards, until it is run again. (A plain io.run() would wait for every timer.)
template <class T>
T run_to_end(asio::io_context& io, awaitable<T> task) {
  std::exception_ptr thrown;
  if constexpr (std::is_void_v<T>) {
    asio::co_spawn(io, std::move(task), [&](std::exception_ptr error) {
      thrown = error;
      io.stop();
    });
    io.restart();
    io.run();
    if (thrown) std::rethrow_exception(thrown);
  } else {
    std::optional<T> value;
    asio::co_spawn(io, std::move(task), [&](std::exception_ptr error, T result) {
      thrown = error;
      if (!error) value.emplace(std::move(result));
      io.stop();
    });
    io.restart();
    io.run();
    if (thrown) std::rethrow_exception(thrown);
    return *std::move(value);
  }
}

}  // namespace chordfs
