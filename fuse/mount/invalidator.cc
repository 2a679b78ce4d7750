#include "fuse/mount/invalidator.h"

#include <boost/asio/post.hpp>

#include "proto/base/check.h"

namespace chordfs::mount {

Invalidator::~Invalidator() {
  CHECK(!thread_.joinable(), "stop() was not called");
}

void Invalidator::start(fuse_session* session) {
  session_ = session;
  ending_ = false;
  thread_ = std::thread([this] { run(); });
}

void Invalidator::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    something_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (jobs_.empty()) break;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    // Whether the kernel knows the inode at all does not matter.
    fuse_lowlevel_notify_inval_inode(session_, job.ino, 0, 0);
    asio::post(runtime_.executor(), [done = std::move(job.done)] { done.set({}); });
    lock.lock();
  }
  asio::post(runtime_.executor(), [ended = ended_] { ended.set({}); });
}

awaitable<void> Invalidator::drop_pages(Ino ino) {
  OneShot<Nothing> done;
  {
    std::lock_guard lock(mutex_);
    if (ending_) co_return;
    jobs_.push_back({ino, done});
  }
  something_.notify_one();
  co_await done.wait();
}

void Invalidator::drop_pages_later(Ino ino) {
  {
    std::lock_guard lock(mutex_);
    if (ending_) return;
    jobs_.push_back({ino, {}});
  }
  something_.notify_one();
}

awaitable<void> Invalidator::stop() {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(ending_, true)) co_return;
  }
  something_.notify_one();
  co_await ended_.wait();
  thread_.join();
}

}  // namespace chordfs::mount
