#pragma once
// FileSystem: POSIX files and directories on top of a ring, without any FUSE type. What a mount shows, and what a tool
// uses to put and get files without one.
//
// Owner: chordfs-mount, a tool or the simulator. Lives as long as its Client, which it does not own.
// Thread: the Runtime's; every operation is a coroutine, many may be under way at once.
// Errors: those of Errc that have an errno a program may see; anything unforeseen is io_error with a reason.
// Permissions are the caller's business (the kernel checks them: default_permissions).
// Coherence: names, attributes and contents as they are at the call, whoever changed them, flushed or not
// (coherence.h). Answers are given again while they are leased.
// Limits: the memory that it is given (fs/cache_sizes.h); a writer waits when its share for unsent data is full.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fuse/fs/ino.h"
#include "fuse/fs/interruption.h"
#include "proto/client/client.h"
#include "proto/wire/limits.h"

namespace chordfs {

/// Who asks: new objects belong to it.
struct Caller {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t umask = 0;  ///< Counts where the directory has no default access control list.
};

struct NewObject {
  wire::FileType type = wire::FILE_REGULAR;
  std::uint32_t mode = 0;  ///< 07777, as it was asked for.
  std::uint64_t rdev = 0;
  std::string target;  ///< Symbolic links.
};

struct SetAttributes {
  std::optional<std::uint32_t> mode, uid, gid;
  std::optional<std::uint64_t> size;
  std::optional<std::int64_t> atime, mtime;  ///< Nanoseconds since 1970.
  bool atime_now = false, mtime_now = false;
  std::optional<std::uint32_t> flags;  ///< proto/wire/inode_flags.h
  bool goes_on = false;                ///< With a size: it is about to be written.
};

/// fallocate(2): what becomes of a range. Nothing is set aside on any disk, so `extend` within the file changes
/// nothing.
enum class Allocate {
  extend,  ///< The file reaches at least to its end.
  keep,    ///< Not even that.
  hole,    ///< It reads as zeros and takes no room; the size stays.
  zero,    ///< The same, and the file reaches at least to its end.
};
/// lseek(2): SEEK_DATA, SEEK_HOLE.
enum class Seek { data, hole };
enum class Rename { plain, no_replace, exchange };
enum class SetXattr { any, create, replace };

struct DirectoryEntry {
  std::string name;
  Ino ino = 0;
  wire::FileType type = wire::FILE_NONE;
  std::uint64_t cookie = 0;  ///< Pass it to continue after this entry.
  std::optional<wire::Attr> attr;
};

struct Usage {
  std::uint64_t bytes_total = 0, bytes_free = 0, inodes = 0;
};

struct Opened {
  Handle handle = 0;
  wire::Attr attr;
  bool unchanged = false;  ///< Same version as when this mount last had it open: cached pages are still right.
};

/// Data and names that are remembered, and data that is not sent yet.
inline constexpr std::uint64_t kCacheBytesDefault = std::uint64_t{256} << 20;
inline constexpr std::uint64_t kCacheBytesMin = std::uint64_t{16} << 20;

class FileSystem {
 public:
  explicit FileSystem(Client& client, std::uint64_t cache_bytes = kCacheBytesDefault);
  ~FileSystem();

  /// Opens the session. Call once, first.
  awaitable<Result<void>> start(std::string name);
  /// Commits what is unsent, closes every handle and the session, joins background work. Operations that are still
  /// under way end soon (those on handles with bad_handle or cancelled); the owner waits for them before it destroys
  /// this.
  awaitable<void> stop();

  awaitable<Result<wire::Attr>> lookup(Ino dir, std::string name);
  awaitable<Result<wire::Attr>> get_attributes(Ino ino);
  awaitable<Result<wire::Attr>> set_attributes(Ino ino, SetAttributes set);
  /// Files, directories, links, devices: `exists` if the name is taken. A set-gid parent hands its group down, and to
  /// directories the bit as well; a parent's default access control list takes the place of the umask.
  awaitable<Result<wire::Attr>> make(Ino dir, std::string name, NewObject object, Caller caller);
  awaitable<Result<Opened>> create(Ino dir, std::string name, NewObject object, Caller caller);
  awaitable<Result<wire::Attr>> link(Ino ino, Ino dir, std::string name);
  awaitable<Result<void>> unlink(Ino dir, std::string name);
  awaitable<Result<void>> remove_directory(Ino dir, std::string name);
  awaitable<Result<void>> rename(Ino dir, std::string name, Ino to_dir, std::string to_name, Rename how);
  awaitable<Result<std::string>> read_link(Ino ino);

  awaitable<Result<Opened>> open(Ino ino, bool truncate);
  awaitable<Result<Bytes>> read(Handle handle, std::uint64_t offset, std::size_t size);
  awaitable<Result<void>> write(Handle handle, std::uint64_t offset, Bytes bytes);
  /// O_APPEND: where the file ends when it is committed, whoever appends meanwhile. `expected`: where the caller
  /// believes that that is.
  awaitable<Result<void>> append(Handle handle, std::uint64_t expected, Bytes bytes);
  /// Whoever caches bytes of files outside is told when they are old: at once, or (`drop`) so that they are gone when
  /// it returns.
  void when_pages_are_old(std::function<void(Ino)> call, std::function<awaitable<void>(Ino)> drop);
  /// close(2): what was written is committed. Reports the error of any earlier write behind.
  awaitable<Result<void>> flush(Handle handle);
  /// A lock of `lock.owner` (lock.session is this mount's affair), as fcntl(2) and flock(2) have it; of type NONE: it
  /// is given up, after what was written has been committed. Waits if there is an `interruption`, which ends that.
  /// True: pages of the file that were cached outside may be old. Errors: would_block, deadlock, interrupted, no_locks.
  awaitable<Result<bool>> lock(Handle handle, wire::FileLock lock, std::shared_ptr<Interruption> interruption);
  /// One that is in the way of this one, if there is one.
  awaitable<Result<std::optional<wire::FileLock>>> test_lock(Handle handle, wire::FileLock lock);
  /// flush(), and POSIX takes from the process all its record locks on the file.
  awaitable<Result<void>> close(Handle handle, std::uint64_t lock_owner);
  /// fsync(2): flush(), and what this mount has changed anywhere is durable, with what others changed of the file.
  awaitable<Result<void>> sync(Handle handle, Ino ino);
  awaitable<Result<void>> sync_directory(Ino ino);
  awaitable<Result<void>> allocate(Handle handle, std::uint64_t offset, std::uint64_t length, Allocate how);
  /// The first byte from `offset` on that is data, or belongs to a hole (the end of the file is one); none: ENXIO.
  awaitable<Result<std::optional<std::uint64_t>>> seek(Handle handle, std::uint64_t offset, Seek what);
  awaitable<void> release(Handle handle);

  /// A page of entries after `cookie` (0: from the start), in the order of the listing; empty at the end. Without "."
  /// and "..". `plus`: with attributes, as far as one call can bring them.
  awaitable<Result<std::vector<DirectoryEntry>>> read_directory(Ino dir, std::uint64_t cookie, std::size_t entries_max,
                                                                bool plus);

  awaitable<Result<std::string>> get_xattr(Ino ino, std::string name);
  awaitable<Result<std::vector<std::string>>> list_xattrs(Ino ino);
  awaitable<Result<void>> set_xattr(Ino ino, std::string name, std::string value, SetXattr how);
  awaitable<Result<void>> remove_xattr(Ino ino, std::string name);

  awaitable<Result<Usage>> usage();

  Client& client();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace chordfs
