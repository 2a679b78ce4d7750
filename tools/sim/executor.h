#pragma once
// ReadyLoop and its executor: where the world's coroutines run. An execution context of our own instead of an
// io_context: no lock, no epoll, half the allocations, and it can tell when code spins without letting time pass.
// Owner: the World. Thread: one.

#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "proto/base/runtime.h"

namespace chordfs {

/// What is ready to run now, in the order in which it became ready.
class ReadyLoop : public asio::execution_context {
 public:
  /// Handlers that may run without the clock moving; more is a loop that waits for nothing.
  static constexpr std::uint64_t kHandlersPerInstantMax = 20'000'000;

  asio::any_io_executor executor();
  void post(std::move_only_function<void()> handler) { ready_.push_back(std::move(handler)); }
  /// While work runs in place, wherever that was begun.
  class InPlace {
   public:
    explicit InPlace(ReadyLoop& loop) : loop_(loop), before_(std::exchange(loop.running_, true)) {}
    ~InPlace() { loop_.running_ = before_; }
    InPlace(const InPlace&) = delete;

   private:
    ReadyLoop& loop_;
    const bool before_;
  };

  /// Inside drain() or call(), or in place.
  bool running() const { return running_; }
  bool idle() const { return ready_.empty(); }
  std::uint64_t handlers() const { return handlers_; }

  /// Runs everything that is ready, and what that makes ready, until nothing is.
  void drain();
  /// Runs `callback` as if it had been posted, and then drain().
  void call(std::move_only_function<void()> callback);

 private:
  std::deque<std::move_only_function<void()>> ready_;
  std::uint64_t handlers_ = 0;
  bool running_ = false;
};

/// Satisfies Asio's executor requirements (blocking.never and blocking.possibly).
class ReadyExecutor {
 public:
  explicit ReadyExecutor(ReadyLoop& loop) : loop_(&loop) {}

  ReadyExecutor require(asio::execution::blocking_t::never_t) const { return {loop_, false}; }
  ReadyExecutor require(asio::execution::blocking_t::possibly_t) const { return {loop_, true}; }
  asio::execution::blocking_t query(asio::execution::blocking_t) const noexcept {
    return in_place_ ? asio::execution::blocking_t(asio::execution::blocking.possibly)
                     : asio::execution::blocking_t(asio::execution::blocking.never);
  }
  ReadyLoop& query(asio::execution::context_t) const noexcept { return *loop_; }

  template <class Function>
  void execute(Function&& function) const {
    if (!in_place_) return loop_->post(std::forward<Function>(function));
    // Also from outside drain(), as when a test crashes a host: Asio's co_spawn dispatches a cancellation with a plain
    // pointer to what ends with the coroutine, so it must not be overtaken by that end.
    ReadyLoop::InPlace guard(*loop_);
    std::decay_t<Function> call(std::forward<Function>(function));
    call();
  }

  friend bool operator==(const ReadyExecutor& a, const ReadyExecutor& b) noexcept { return a.loop_ == b.loop_; }
  friend bool operator!=(const ReadyExecutor& a, const ReadyExecutor& b) noexcept { return !(a == b); }

 private:
  ReadyExecutor(ReadyLoop* loop, bool in_place) : loop_(loop), in_place_(in_place) {}

  ReadyLoop* loop_;
  bool in_place_ = true;
};

}  // namespace chordfs
