#pragma once
// FileLocks: what programs of this mount lock (fcntl, flock), all the way to the inode's arc; and data that are right
// under a lock: what others wrote before they unlocked is seen after locking, and unlocking makes known first what was
// written here.
// Whoever waits asks the arc's leader, which answers when nothing is in the way (AwaitLock), and then locks; it can be
// interrupted until then. Who waits longer than a moment for a record lock is told of at the session's arc, so that
// deadlocks are found (deadlocks.h).
// When the session ends, so do its locks; every handle of a file that was locked fails from there on (Core).
//
// Owner: FileSystem. Thread: the Runtime's. Errors: would_block, deadlock, interrupted, no_locks.

#include <memory>
#include <optional>

#include "fuse/fs/deadlocks.h"
#include "fuse/fs/interruption.h"
#include "fuse/fs/open_file.h"
#include "fuse/fs/write_behind.h"

namespace chordfs::fs {

class FileLocks {
 public:
  FileLocks(Core& core, WriteBehind& writes) : core_(core), writes_(writes), deadlocks_(core) {}

  /// `lock` without session. Waits if there is an `interruption`. True: pages that the kernel has of the file may be
  /// old.
  awaitable<Result<bool>> set(std::shared_ptr<OpenFile> file, wire::FileLock lock,
                              std::shared_ptr<Interruption> interruption);
  /// One that is in the way, if there is one.
  awaitable<Result<std::optional<wire::FileLock>>> test(std::shared_ptr<OpenFile> file, wire::FileLock lock);
  /// A process has closed one of its descriptors: POSIX takes all its record locks on the file.
  awaitable<void> closed_by(std::shared_ptr<InodeState> inode, std::uint64_t owner);
  /// The last descriptor of an open file description is closed, and with it go its own locks: those of flock(2), and
  /// of F_OFD_SETLK, which the kernel does not tell from others. (A process has given its own up when it closed.)
  awaitable<void> closed(std::shared_ptr<OpenFile> file);

 private:
  class Asking;
  struct Wait;

  awaitable<Result<wire::Answer>> send(std::shared_ptr<OpenFile> file, wire::SetLock step);
  awaitable<Result<wire::Answer>> lock_or_wait(std::shared_ptr<OpenFile> file, wire::SetLock step,
                                               std::shared_ptr<Interruption> interruption);
  awaitable<Result<wire::Answer>> wait_and_lock(std::shared_ptr<OpenFile> file, wire::SetLock step,
                                                std::shared_ptr<Interruption> interruption);
  awaitable<void> poll(std::shared_ptr<Wait> wait);
  awaitable<void> watch(std::shared_ptr<Wait> wait);
  awaitable<Result<void>> tell(wire::LockWait wait, bool ended);
  awaitable<void> leave(wire::SetLock step);

  static void forget(Core& core, InodeState& inode, LockOwner owner);
  awaitable<Result<void>> unlock(std::shared_ptr<OpenFile> file, wire::FileLock lock);
  awaitable<Result<void>> give_up(std::shared_ptr<InodeState> inode, LockOwner owner);
  awaitable<void> give_up_later(std::shared_ptr<InodeState> inode, LockOwner owner);
  class GivingUp;
  /// What this owner gave up is given up first: that must not take along what it locks from now on.
  awaitable<Result<void>> wait_for_giving_up(Ino ino, LockOwner owner, const Interruption* interruption);

  Core& core_;
  WriteBehind& writes_;
  Deadlocks deadlocks_;
  std::uint64_t next_waiter_ = 1;
  std::map<std::pair<Ino, LockOwner>, int> giving_up_;  ///< Under way, or tried again until a node answers.
};

}  // namespace chordfs::fs
