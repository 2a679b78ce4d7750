#include "proto/base/task.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

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
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  while (!tasks_.empty()) co_await ended_.wait();
}

awaitable<Semaphore::Hold> Semaphore::acquire() {
  while (free_ == 0) co_await freed_.wait();
  --free_;
  co_return Hold(this);
}

void Semaphore::release() {
  ++free_;
  freed_.notify_all();
}

}  // namespace chordfs
