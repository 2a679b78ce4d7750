#pragma once
// A Runtime with real sockets whose clock moves only when the test says so.

#include <boost/asio/io_context.hpp>

#include "proto/rpc/timer_queue.h"

namespace chordfs {

class ManualRuntime final : public Runtime {
 public:
  explicit ManualRuntime(asio::io_context& io) : executor_(io.get_executor()) {}

  asio::any_io_executor executor() override { return executor_; }
  Time now() const override { return now_; }
  std::int64_t wall_now() const override { return now_.time_since_epoch().count(); }
  std::uint64_t random() override { return 4; }
  TimerId schedule(Time when, std::move_only_function<void()> callback) override {
    return timers_.add(when, std::move(callback));
  }
  void cancel(TimerId timer) override { timers_.cancel(timer); }

  void advance(Duration duration) {
    now_ += duration;
    timers_.run_due(now_);
  }

 private:
  asio::any_io_executor executor_;
  TimerQueue timers_;
  Time now_{};
};

}  // namespace chordfs
