#pragma once
// Operations: every call of the kernel as a coroutine over FileSystem. Each takes its Request and answers it.
// Owner: Session. Thread: the Runtime's. Arguments are by value: they outlive the callback that they came from.
//
// Permissions were checked by the kernel (default_permissions); they are not checked again, because it also sends
// changes of its own in the name of the user who writes (clearing set-id bits).
// copy_file_range is the kernel's own: it does not ask.

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "fuse/fs/filesystem.h"
#include "fuse/mount/directory.h"
#include "fuse/mount/flags.h"
#include "fuse/mount/invalidator.h"
#include "fuse/mount/request.h"
#include "proto/base/bytes.h"

namespace chordfs::mount {

/// Write-only opens could bypass the page cache, which doubles the speed of large writes; off until measured here.
inline constexpr bool kDirectIoForWriteOnly = false;

class Operations {
 public:
  Operations(FileSystem& files, Invalidator& invalidator) : files_(files), invalidator_(invalidator) {}
  Operations(const Operations&) = delete;

  awaitable<void> lookup(Request request, Ino dir, std::string name);
  awaitable<void> get_attributes(Request request, Ino ino);
  awaitable<void> set_attributes(Request request, Ino ino, SetAttributes set);
  awaitable<void> read_link(Request request, Ino ino);
  awaitable<void> make(Request request, Ino dir, std::string name, NewObject object);
  awaitable<void> link(Request request, Ino ino, Ino dir, std::string name);
  awaitable<void> unlink(Request request, Ino dir, std::string name);
  awaitable<void> remove_directory(Request request, Ino dir, std::string name);
  awaitable<void> rename(Request request, Ino dir, std::string name, Ino to_dir, std::string to_name, Rename how);

  awaitable<void> create(Request request, Ino dir, std::string name, NewObject object, fuse_file_info info);
  awaitable<void> open(Request request, Ino ino, fuse_file_info info);
  awaitable<void> read(Request request, Ino ino, fuse_file_info info, std::uint64_t offset, std::size_t size);
  awaitable<void> write(Request request, Ino ino, fuse_file_info info, std::uint64_t offset, Bytes bytes);
  awaitable<void> flush(Request request, Handle handle, std::uint64_t lock_owner);
  awaitable<void> test_lock(Request request, Handle handle, wire::FileLock lock);
  awaitable<void> lock(Request request, Ino ino, Handle handle, wire::FileLock lock, bool waits);
  awaitable<void> sync(Request request, Handle handle, Ino ino);
  awaitable<void> sync_directory(Request request, Ino ino);
  awaitable<void> allocate(Request request, Handle handle, std::uint64_t offset, std::uint64_t length, Allocate how);
  awaitable<void> seek(Request request, Handle handle, std::uint64_t offset, Seek what);
  awaitable<void> release(Request request, Handle handle);

  awaitable<void> open_directory(Request request, Ino ino, fuse_file_info info);
  awaitable<void> read_directory(Request request, Handle handle, Listing listing, std::uint64_t cookie,
                                 std::size_t bytes_max);
  awaitable<void> release_directory(Request request, Handle handle);

  awaitable<void> get_xattr(Request request, Ino ino, std::string name, std::size_t room);
  awaitable<void> list_xattrs(Request request, Ino ino, std::size_t room);
  awaitable<void> set_xattr(Request request, Ino ino, std::string name, std::string value, SetXattr how);
  awaitable<void> remove_xattr(Request request, Ino ino, std::string name);

  awaitable<void> get_flags(Request request, Ino ino, FlagsFormat format);
  awaitable<void> set_flags(Request request, Ino ino, FlagsFormat format, std::string value);

  awaitable<void> usage(Request request);

 private:
  /// What a change of contents by an ordinary user does to set-id bits, where the kernel leaves it to us.
  awaitable<Result<void>> clear_set_id(const Request& request, Ino ino, const wire::Attr& attr);
  /// A set-group-ID bit that this caller may not leave on: not root, and not of that group.
  static bool foreign_set_gid(const Request& request, const wire::Attr& attr);
  awaitable<Result<wire::Attr>> clear_set_gid(Ino ino, std::uint32_t mode);
  /// The mode that an access control list gives, like chmod(2), takes set-group-ID from who is not of that group. The
  /// kernel would say so in the request, but libfuse 3.14 does not hear it.
  awaitable<Result<void>> clear_foreign_set_gid(const Request& request, Ino ino);
  static void describe(fuse_file_info& info, const Opened& opened);

  FileSystem& files_;
  Invalidator& invalidator_;
  std::map<Handle, std::shared_ptr<Directory>> directories_;
  Handle next_directory_ = 1;
};

}  // namespace chordfs::mount
