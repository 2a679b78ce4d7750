#pragma once
// TestRuntime: virtual time and seeded chance over an io_context that worker threads may post to.
// run() drives one coroutine to its end: turns first, then whatever threads post, then the next timer. Time passes only
// when a timer is all there is to wait for, so a test never sleeps.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <map>
#include <optional>
#include <random>

#include "proto/base/check.h"
#include "proto/base/runtime.h"

namespace chordfs {

class TestRuntime final : public Runtime {
 public:
  explicit TestRuntime(std::uint64_t seed = 1) : chance_(seed) {}

  asio::any_io_executor executor() override { return context_.get_executor(); }
  Time now() const override { return now_; }
  std::int64_t wall_now() const override { return now_.time_since_epoch().count(); }
  std::uint64_t random() override { return chance_(); }
  TimerId schedule(Time when, std::move_only_function<void()> callback) override {
    auto id = next_timer_++;
    timers_.emplace(std::pair(std::max(when, now_), id), std::move(callback));
    return id;
  }
  void cancel(TimerId timer) override {
    std::erase_if(timers_, [timer](const auto& entry) { return entry.first.second == timer; });
  }

  template <class T>
  T run(awaitable<T> task) {
    std::optional<T> value;
    asio::co_spawn(context_, std::move(task), [&](std::exception_ptr error, T result) {
      CHECK(!error, "a test's coroutine threw");
      value.emplace(std::move(result));
    });
    while (!value) turn();
    return std::move(*value);
  }
  void run(awaitable<void> task) {
    run([](awaitable<void> inner) -> awaitable<int> {
      co_await std::move(inner);
      co_return 0;
    }(std::move(task)));
  }
  /// Everything that can run without waiting for a thread; time stands still.
  void settle() {
    context_.restart();
    while (context_.poll() > 0) {
    }
  }
  /// Lets virtual time pass.
  void advance(Duration duration) {
    auto end = now_ + duration;
    settle();
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      fire();
      settle();
    }
    now_ = end;
  }

 private:
  void turn() {
    context_.restart();
    if (context_.poll() > 0) return;
    if (timers_.empty())
      context_.run_one();  // A thread will post.
    else
      fire();
  }
  void fire() {
    auto first = timers_.begin();
    now_ = first->first.first;
    auto callback = std::move(first->second);
    timers_.erase(first);
    callback();
  }

  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
  Time now_{};
  std::mt19937_64 chance_;
  TimerId next_timer_ = 1;
  std::map<std::pair<Time, TimerId>, std::move_only_function<void()>> timers_;
};

}  // namespace chordfs
