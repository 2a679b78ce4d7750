#include "daemon/store/worker_pool.h"

#include <algorithm>

namespace chordfs {

WorkerPool::WorkerPool(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

void WorkerPool::add(Job job) {
  {
    std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

void WorkerPool::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  for (auto& job : std::exchange(jobs_, {})) job.cancel();
}

std::deque<WorkerPool::Job>::iterator WorkerPool::next() {
  return std::ranges::find_if(jobs_, [this](const Job& job) { return !running_.contains(job.key); });
}

void WorkerPool::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || next() != jobs_.end(); });
    if (stopping_) return;
    auto at = next();
    auto job = std::move(*at);
    jobs_.erase(at);
    if (!job.key.empty()) running_.insert(job.key);
    lock.unlock();
    job.run();
    lock.lock();
    if (job.key.empty()) continue;
    running_.erase(job.key);
    changed_.notify_all();  // A job that waited for the key may run now.
  }
}

}  // namespace chordfs
