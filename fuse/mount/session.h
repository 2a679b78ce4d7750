#pragma once
// Session: one mount from mount(2) to its end: the device, the threads that read it, the unmounting.
//
// Owner: serve(). mount(), then ready(); later stop(), after which it may be destroyed.
// Thread: the Runtime's, except what is said of the readers: kReaders plain threads block in read(2) on the device and
// run the callbacks; the Invalidator has some; one more lives while an unmount is under way, because the kernel asks us
// to write back first. Each tells the Runtime's thread of its end by a post. Errors: of mount() in a line for people;
// of the device in ended().

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fuse/mount/callbacks.h"
#include "fuse/mount/inbox.h"
#include "fuse/mount/invalidator.h"
#include "fuse/mount/libfuse.h"
#include "fuse/mount/mount_point.h"
#include "fuse/mount/operations.h"
#include "fuse/mount/receive_buffer.h"
#include "proto/base/task.h"

namespace chordfs::mount {

inline constexpr std::size_t kReaders = 2;
/// mount(2) to the end of the INIT exchange.
inline constexpr Duration kInitLimit = 10s;
/// Calls under way when the mount ends: each ends within 3 s by itself.
inline constexpr Duration kLastCallsLimit = 5s;

class Session {
 public:
  Session(Runtime& runtime, FileSystem& files);
  ~Session();
  Session(const Session&) = delete;

  /// Mounts and starts reading. `options`: see libfuse_options().
  Problem mount(const std::string& path, const std::vector<std::string>& options);
  /// Returns when the kernel and we have agreed on the protocol: from then on every call is served.
  awaitable<Problem> ready();
  /// Returns when the device has ended: unmounted by whomever (0), or an errno.
  awaitable<int> ended();
  /// Unmounts, if that is still to be done, while calls are still served. Someone who uses the mount does not hold it
  /// up (logged).
  awaitable<Unmounted> unmount();
  /// Waits for the last calls and closes the device.
  awaitable<void> stop();

 private:
  struct Detached {
    Unmounted how;
    std::string reason;
  };

  void read_requests();
  void reader_ended(int error);
  awaitable<void> end_readers();

  Runtime& runtime_;
  Inbox inbox_;
  FileSystem& files_;
  Invalidator invalidator_;
  Operations operations_;
  Target target_;
  std::shared_ptr<Spares> spares_ = std::make_shared<Spares>();
  std::string path_;
  std::string device_;  ///< "MAJOR:MINOR" of this mount.
  fuse_session* session_ = nullptr;
  std::vector<std::thread> readers_;
  std::thread unmounter_;
  std::atomic<bool> told_ready_ = false;
  bool gone_ = false;  ///< Out of the tree, as unmount() found or brought about.
  std::size_t readers_ended_ = 0;
  OneShot<Nothing> initialised_;
  OneShot<int> ended_;
  OneShot<Detached> unmounted_;
};

}  // namespace chordfs::mount
