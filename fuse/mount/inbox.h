#pragma once
// Inbox: the way from the threads that read the device to the one thread that does everything else.
// Owner: Session. Thread: post() any, the rest the Runtime's. Several posts that meet cost one turn of the executor.
// Limits: none of its own; the kernel bounds what is under way (a request per waiting thread, and max_background).

#include <functional>
#include <mutex>
#include <vector>

#include "proto/base/runtime.h"
#include "proto/base/task.h"

namespace chordfs::mount {

class Inbox {
 public:
  /// Called on the Runtime's thread to make the coroutine, which must not refer to the job itself.
  using Job = std::move_only_function<awaitable<void>()>;

  explicit Inbox(Runtime& runtime) : runtime_(runtime), tasks_(runtime) {}
  Inbox(const Inbox&) = delete;

  void post(const char* name, Job job);
  /// Once nobody posts any more: waits for what is under way, `patience` long, then cancels it.
  awaitable<void> finish(Duration patience);

 private:
  struct Posted {
    const char* name;
    Job job;
  };
  void start_all();

  Runtime& runtime_;
  TaskGroup tasks_;
  std::mutex mutex_;
  std::vector<Posted> posted_;  ///< Guarded by mutex_; not empty exactly while start_all() is scheduled.
};

}  // namespace chordfs::mount
