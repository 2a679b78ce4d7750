#pragma once
// WorkerPool: a few threads for calls that block. Jobs with the same key run one after the other in order of add().
// Owner: RealDisk. Thread: add() and stop() from the owner's thread.
// Limits: none on the queue; who calls the Disk bounds what is under way.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace chordfs {

class WorkerPool {
 public:
  struct Job {
    std::string key;                         ///< Empty: in any order.
    std::move_only_function<void()> run;     ///< On a thread of the pool.
    std::move_only_function<void()> cancel;  ///< Instead, on the owner's thread, if the pool stops first.
  };

  explicit WorkerPool(int threads);
  ~WorkerPool() { stop(); }
  WorkerPool(const WorkerPool&) = delete;

  void add(Job job);
  /// Lets jobs that run end, cancels the others.
  void stop();

 private:
  void work();
  /// The first job that may run now; end() if there is none.
  std::deque<Job>::iterator next();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::set<std::string> running_;  ///< Keys.
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace chordfs
