#pragma once
// Invalidator: tells the kernel that pages it has of a file are old. On a thread of its own: the kernel waits for pages
// that are being read or written, which the Runtime's thread must be free to serve.
// Owner: Session. start() when there is a session; stop() while calls are still served. Thread: the Runtime's, except
// what is said of its own.

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "fuse/fs/filesystem.h"
#include "fuse/mount/libfuse.h"
#include "proto/base/task.h"

namespace chordfs::mount {

class Invalidator {
 public:
  explicit Invalidator(Runtime& runtime) : runtime_(runtime) {}
  ~Invalidator();
  Invalidator(const Invalidator&) = delete;

  void start(fuse_session* session);
  /// Returns when the kernel has dropped them. (Nothing happens once it is stopped, or was not started.)
  awaitable<void> drop_pages(Ino ino);
  /// The same, for who cannot wait for it: a program that writes these very pages, and waits for us.
  void drop_pages_later(Ino ino);
  awaitable<void> stop();

 private:
  struct Job {
    Ino ino = 0;
    OneShot<Nothing> done;
  };
  void run();

  Runtime& runtime_;
  fuse_session* session_ = nullptr;
  std::thread thread_;
  OneShot<Nothing> ended_;
  std::mutex mutex_;
  std::condition_variable something_;
  std::deque<Job> jobs_;  ///< Guarded by mutex_, as is:
  bool ending_ = true;
};

}  // namespace chordfs::mount
