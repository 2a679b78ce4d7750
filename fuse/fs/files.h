#pragma once
// Files: handles. Opens and creates them, keeps the inode states they share, and lets go of both.
// Owner: FileSystem. Thread: the Runtime's. Errors: bad_handle for one that is not, or no longer, open.

#include <map>
#include <memory>

#include "fuse/fs/coherence.h"
#include "fuse/fs/file_locks.h"
#include "fuse/fs/holes.h"
#include "fuse/fs/namespace.h"
#include "fuse/fs/open_file.h"
#include "fuse/fs/reader.h"
#include "fuse/fs/write_behind.h"

namespace chordfs::fs {

class Files {
 public:
  Files(Core& core, Attributes& attributes, Namespace& names, WriteBehind& writes, Reader& reader, Holes& holes,
        FileLocks& locks, Coherence& coherence)
      : core_(core),
        attributes_(attributes),
        names_(names),
        writes_(writes),
        reader_(reader),
        holes_(holes),
        locks_(locks),
        coherence_(coherence) {}

  awaitable<Result<Opened>> create(Place place, NewObject object, Caller caller);
  awaitable<Result<Opened>> open(Ino ino, bool truncate);
  awaitable<Result<Bytes>> read(Handle handle, std::uint64_t offset, std::size_t size);
  awaitable<Result<void>> write(Handle handle, std::uint64_t offset, Bytes bytes);
  awaitable<Result<void>> append(Handle handle, std::uint64_t expected, Bytes bytes);
  awaitable<Result<bool>> lock(Handle handle, wire::FileLock lock, std::shared_ptr<Interruption> interruption);
  awaitable<Result<std::optional<wire::FileLock>>> test_lock(Handle handle, wire::FileLock lock);
  awaitable<Result<void>> flush(Handle handle, WriteBehind::After after = WriteBehind::After::goes_on);
  awaitable<Result<void>> close(Handle handle, std::uint64_t lock_owner);
  awaitable<Result<void>> allocate(Handle handle, std::uint64_t offset, std::uint64_t length, Allocate how);
  awaitable<Result<std::optional<std::uint64_t>>> seek(Handle handle, std::uint64_t offset, Seek what);
  awaitable<void> release(Handle handle);
  /// Commits what is unsent and closes every handle.
  awaitable<void> close_all();

 private:
  /// Found, and nothing of what its program relies on was lost.
  awaitable<Result<std::shared_ptr<OpenFile>>> usable(Handle handle);
  Result<std::shared_ptr<OpenFile>> find(Handle handle) const;
  std::shared_ptr<InodeState> acquire(Ino ino);
  /// One holder of the state less; the last one takes it from the table.
  void let_go(const std::shared_ptr<InodeState>& inode);
  Handle add(std::shared_ptr<InodeState> inode);

  Core& core_;
  Attributes& attributes_;
  Namespace& names_;
  WriteBehind& writes_;
  Reader& reader_;
  Holes& holes_;
  FileLocks& locks_;
  Coherence& coherence_;
  std::map<Handle, std::shared_ptr<OpenFile>> handles_;
  Handle next_handle_ = 1;
};

}  // namespace chordfs::fs
