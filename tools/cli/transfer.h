#pragma once
// Transfer: contents of files, from and to a ring. Thread: the Runtime's.
// Errors: those of FileSystem, with the path; and whatever the other side returns.

#include <functional>
#include <string>

#include "fuse/fs/filesystem.h"
#include "proto/base/bytes.h"
#include "tools/cli/local_file.h"

namespace chordfs::cli {

/// Told how much of a file has been transferred; may wait, to go no faster.
using Reached = std::function<awaitable<void>(std::uint64_t bytes)>;

/// Lets no more than so many bytes a second pass, on the average.
class Pace {
 public:
  /// bytes_per_second 0: as fast as it goes.
  Pace(Runtime& runtime, std::uint64_t bytes_per_second)
      : runtime_(runtime), rate_(bytes_per_second), begun_(runtime.now()) {}
  /// `bytes`: of everything so far. Returns when as much may have passed.
  awaitable<void> reached(std::uint64_t bytes);

 private:
  Runtime& runtime_;
  std::uint64_t rate_;
  Time begun_;
};

using TakePiece = std::function<awaitable<Result<void>>(std::uint64_t offset, Bytes bytes)>;
/// A file from `offset` to its end, in order.
awaitable<Result<void>> read_all(FileSystem& files, std::string path, Ino ino, std::uint64_t offset, TakePiece take);

/// Everything of the source into a new file of the ring; with the source's time, if it is a file. Committed when it
/// returns.
awaitable<Result<void>> write_all(FileSystem& files, std::string path, Ino dir, std::string name, LocalSource& source,
                                  Reached reached);

}  // namespace chordfs::cli
