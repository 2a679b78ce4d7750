#pragma once
// How coroutines wait for one another and who outlives whom: OneShot, Signal, TaskGroup.
// Thread: all of these belong to the one thread of their Runtime.

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "proto/base/check.h"
#include "proto/base/runtime.h"

namespace chordfs {

/// A value that arrives once and one coroutine that waits for it. Copies share the value.
/// Cancelling the waiter throws operation_aborted in it; a value that arrives later is dropped.
template <class T>
class OneShot {
 public:
  OneShot() : state_(std::make_shared<State>()) {}

  bool ready() const { return state_->value.has_value(); }
  /// Nobody but this copy knows of it.
  bool abandoned() const { return state_.use_count() == 1; }
  /// The first value counts, later ones are ignored. The waiter resumes in a later turn of the executor.
  void set(T value) const {
    if (state_->value) return;
    state_->value.emplace(std::move(value));
    if (state_->waiter) std::exchange(state_->waiter, nullptr)->resume({});
  }

  awaitable<T> wait() const {
    auto state = state_;
    if (!state->value) co_await suspend(state);
    co_return std::move(*state->value);
  }
  /// Nothing, if no value came within `limit`. A value that comes later is kept for the next wait.
  awaitable<std::optional<T>> wait_for(Runtime& runtime, Duration limit) const {
    auto state = state_;
    if (!state->value) {
      auto timer = runtime.schedule(runtime.now() + limit, [weak = std::weak_ptr(state)] {
        if (auto s = weak.lock(); s && s->waiter) std::exchange(s->waiter, nullptr)->resume({});
      });
      struct Cancel {
        Runtime& runtime;
        Runtime::TimerId timer;
        ~Cancel() { runtime.cancel(timer); }
      } cancel{runtime, timer};
      co_await suspend(state);
    }
    if (!state->value) co_return std::nullopt;
    co_return std::move(*state->value);
  }

 private:
  struct Waiter {
    virtual ~Waiter() = default;
    virtual void resume(boost::system::error_code error) = 0;
  };
  template <class Handler>
  struct WaiterOf final : Waiter {
    explicit WaiterOf(Handler h) : handler(std::move(h)) {}
    void resume(boost::system::error_code error) override {
      auto executor = asio::get_associated_executor(handler);
      asio::post(executor, [h = std::move(handler), error]() mutable { std::move(h)(error); });
    }
    Handler handler;
  };
  struct State {
    std::optional<T> value;
    std::unique_ptr<Waiter> waiter;
  };

  static awaitable<void> suspend(std::shared_ptr<State> state) {
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void(boost::system::error_code)>(
        [state](auto handler) {
          CHECK(!state->waiter, "two coroutines wait for one OneShot");
          auto slot = asio::get_associated_cancellation_slot(handler);
          state->waiter = std::make_unique<WaiterOf<decltype(handler)>>(std::move(handler));
          if (slot.is_connected())
            slot.assign([weak = std::weak_ptr(state)](asio::cancellation_type) {
              if (auto s = weak.lock(); s && s->waiter)
                std::exchange(s->waiter, nullptr)->resume(asio::error::operation_aborted);
            });
        },
        asio::use_awaitable);
  }

  std::shared_ptr<State> state_;
};

struct Nothing {};

/// Wakes every coroutine that waits at that moment. Nothing is remembered: test the condition, wait, test again.
class Signal {
 public:
  void notify_all() {
    auto waiters = std::exchange(waiters_, {});
    for (auto& waiter : waiters) waiter.set({});
  }
  awaitable<void> wait() { co_await add().wait(); }
  /// False if `limit` passed first.
  awaitable<bool> wait_for(Runtime& runtime, Duration limit) {
    co_return (co_await add().wait_for(runtime, limit)).has_value();
  }

 private:
  OneShot<Nothing> add() {
    // Those that timed out or were cancelled stay behind: nobody else holds them.
    if (waiters_.size() >= sweep_at_) {
      std::erase_if(waiters_, [](const auto& waiter) { return waiter.abandoned(); });
      sweep_at_ = 64 + 2 * waiters_.size();
    }
    return waiters_.emplace_back();
  }
  std::list<OneShot<Nothing>> waiters_;
  std::size_t sweep_at_ = 64;
};

/// Owns background coroutines: nothing is detached. Destroy it only after stop() and join().
/// An exception other than cancellation that leaves a task is a bug and ends the process.
class TaskGroup {
 public:
  explicit TaskGroup(Runtime& runtime) : runtime_(runtime) {}
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;

  /// `name` is for logs. After stop() the task is dropped unrun. Called on the Runtime's thread, it runs the task up
  /// to its first wait before it returns.
  void spawn(std::string name, awaitable<void> task);
  /// Cancels every task: each gets operation_aborted at its next or present wait.
  void stop();
  bool stopping() const { return stopping_; }
  /// Returns once every task has ended, even if the caller is cancelled meanwhile (its next wait then throws). A
  /// caller that has been cancelled before does not get this far: Asio throws at its co_await.
  awaitable<void> join();
  std::size_t size() const { return tasks_.size(); }

 private:
  awaitable<void> wait_until_empty();
  struct Task {
    std::string name;
    asio::cancellation_signal cancel;
  };
  Runtime& runtime_;
  std::list<Task> tasks_;
  bool stopping_ = false;
  Signal ended_;
};

/// At most `places` holders at once; the others wait in order of arrival.
class Semaphore {
 public:
  explicit Semaphore(std::size_t places) : free_(places) {}
  class Hold {
   public:
    Hold() = default;
    explicit Hold(Semaphore* s) : semaphore_(s) {}
    Hold(Hold&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(semaphore_, other.semaphore_);
      return *this;
    }
    ~Hold() {
      if (semaphore_) semaphore_->release();
    }

   private:
    Semaphore* semaphore_ = nullptr;
  };
  awaitable<Hold> acquire();

 private:
  void release();
  std::size_t free_;
  std::list<OneShot<Nothing>> waiting_;  ///< In order of arrival; none while a place is free.
};

}  // namespace chordfs
