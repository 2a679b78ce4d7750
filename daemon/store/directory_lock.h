#pragma once
// DirectoryLock: one process at a time works in a data directory. The kernel drops it with the process, however it
// ends. Owner: RealDisk. Thread: any. Errors: busy (another process holds it, with its number), io_error, disk_full.

#include <filesystem>

#include "daemon/store/os_error.h"

namespace chordfs {

class DirectoryLock {
 public:
  /// Takes `directory`/lock, which is created if it is missing and says the holder's process number.
  static Result<DirectoryLock> take(const std::filesystem::path& directory);

 private:
  explicit DirectoryLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace chordfs
