#pragma once
// Transfer: contents of files, from and to a ring. Thread: the Runtime's.
// Errors: those of FileSystem, with the path; and whatever the other side returns.

#include <functional>
#include <string>

#include "fuse/fs/filesystem.h"
#include "proto/base/bytes.h"
#include "tools/cli/local_file.h"

namespace chordfs::cli {

using TakePiece = std::function<awaitable<Result<void>>(std::uint64_t offset, Bytes bytes)>;
/// A file from `offset` to its end, in order.
awaitable<Result<void>> read_all(FileSystem& files, std::string path, Ino ino, std::uint64_t offset, TakePiece take);

/// Everything of the source into a new file of the ring; with the source's time, if it is a file. Committed when it
/// returns. `reached`: told how many bytes have been read so far.
awaitable<Result<void>> write_all(FileSystem& files, std::string path, Ino dir, std::string name, LocalSource& source,
                                  std::function<void(std::uint64_t)> reached);

}  // namespace chordfs::cli
