#include "proto/base/task.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include "proto/base/check.h"

namespace chordfs {

awaitable<void> Runtime::sleep(Duration duration) {
  OneShot<Nothing> never;
  co_await never.wait_for(*this, duration);
}

std::uint64_t Runtime::below(std::uint64_t bound) {
  // Multiply-shift (Lemire 2019); the bias of at most bound/2^64 does not matter here.
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(random()) * bound >> 64);
}

Duration Runtime::jitter(Duration duration, double spread) {
  auto width = static_cast<std::uint64_t>(static_cast<double>(duration.count()) * spread * 2);
  if (width == 0) return duration;
  return Duration(duration.count() - static_cast<std::int64_t>(width / 2) + static_cast<std::int64_t>(below(width)));
}

TaskGroup::~TaskGroup() {
  CHECK(tasks_.empty(), "task '{}' outlives its group", tasks_.empty() ? "" : tasks_.front().name);
}

void TaskGroup::spawn(std::string name, awaitable<void> task) {
  if (stopping_) return;
  auto& entry = tasks_.emplace_back(std::move(name));
  auto at = std::prev(tasks_.end());
  asio::co_spawn(runtime_.executor(), std::move(task),
                 asio::bind_cancellation_slot(entry.cancel.slot(), [this, at](std::exception_ptr error) {
                   if (error) {
                     try {
                       std::rethrow_exception(error);
                     } catch (const boost::system::system_error& e) {
                       CHECK(e.code() == asio::error::operation_aborted, "task '{}': {}", at->name, e.what());
                     } catch (const std::exception& e) {
                       CHECK(false, "task '{}': {}", at->name, e.what());
                     }
                   }
                   tasks_.erase(at);
                   if (tasks_.empty()) ended_.notify_all();
                 }));
}

void TaskGroup::stop() {
  stopping_ = true;
  for (auto task = tasks_.begin(); task != tasks_.end();) {
    auto current = task++;  // A task may end while it is being cancelled.
    current->cancel.emit(asio::cancellation_type::terminal);
  }
}

awaitable<void> TaskGroup::join() {
  // In a coroutine of its own that no cancellation reaches: the caller's own state stays as it is.
  co_await asio::co_spawn(runtime_.executor(), wait_until_empty(),
                          asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable));
}

awaitable<void> TaskGroup::wait_until_empty() {
  while (!tasks_.empty()) co_await ended_.wait();
}

awaitable<Semaphore::Hold> Semaphore::acquire() {
  if (free_ > 0) {
    --free_;
    co_return Hold(this);
  }
  struct Turn {
    Semaphore& semaphore;
    std::list<OneShot<Nothing>>::iterator at;
    OneShot<Nothing> given;
    bool taken = false;
    ~Turn() {
      if (taken) return;
      // Cancelled: leave the queue, or pass on the place that came too late.
      if (given.ready()) {
        semaphore.release();
      } else {
        semaphore.waiting_.erase(at);
      }
    }
  };
  auto at = waiting_.emplace(waiting_.end());
  Turn turn{*this, at, *at};
  co_await turn.given.wait();
  turn.taken = true;
  co_return Hold(this);
}

void Semaphore::release() {
  if (waiting_.empty()) {
    ++free_;
    return;
  }
  // Handed over rather than freed, so that nobody who comes later is faster.
  auto next = waiting_.front();
  waiting_.pop_front();
  next.set({});
}

}  // namespace chordfs
