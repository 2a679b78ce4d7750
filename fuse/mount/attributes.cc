#include "fuse/mount/attributes.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>

#include <algorithm>
#include <limits>

namespace chordfs::mount {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStatBlockBytes = 512;
/// OFFSET_MAX: to the end of the file, however long it becomes.
constexpr std::uint64_t kLockEnd = std::numeric_limits<off_t>::max();

timespec timespec_of(std::int64_t nanoseconds) {
  auto seconds = nanoseconds / kSecond;
  auto rest = nanoseconds % kSecond;
  if (rest < 0) {  // Before 1970: tv_nsec is never negative.
    rest += kSecond;
    --seconds;
  }
  return {seconds, rest};
}

/// Times beyond the years 1677 to 2262 do not fit 64 bits of nanoseconds: the nearest that does.
std::int64_t nanoseconds_of(const timespec& time) {
  auto exact = static_cast<__int128>(time.tv_sec) * kSecond + time.tv_nsec;
  auto nearest =
      std::clamp<__int128>(exact, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(nearest);
}

}  // namespace

mode_t type_bits(wire::FileType type) {
  switch (type) {
    case wire::FILE_REGULAR:
      return S_IFREG;
    case wire::FILE_DIRECTORY:
      return S_IFDIR;
    case wire::FILE_SYMLINK:
      return S_IFLNK;
    case wire::FILE_FIFO:
      return S_IFIFO;
    case wire::FILE_SOCKET:
      return S_IFSOCK;
    case wire::FILE_CHAR:
      return S_IFCHR;
    case wire::FILE_BLOCK:
      return S_IFBLK;
    default:
      return 0;
  }
}

wire::FileType type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return wire::FILE_REGULAR;
    case S_IFDIR:
      return wire::FILE_DIRECTORY;
    case S_IFLNK:
      return wire::FILE_SYMLINK;
    case S_IFIFO:
      return wire::FILE_FIFO;
    case S_IFSOCK:
      return wire::FILE_SOCKET;
    case S_IFCHR:
      return wire::FILE_CHAR;
    case S_IFBLK:
      return wire::FILE_BLOCK;
    default:
      return wire::FILE_NONE;
  }
}

struct stat stat_of(const wire::Attr& attr) {
  struct stat out{};
  out.st_ino = attr.ino();
  out.st_mode = type_bits(attr.type()) | (attr.mode() & 07777);
  out.st_nlink = attr.nlink();
  out.st_uid = attr.uid();
  out.st_gid = attr.gid();
  out.st_rdev = attr.rdev();
  out.st_size = static_cast<off_t>(attr.size());
  out.st_blksize = kIoBytes;
  out.st_blocks = static_cast<blkcnt_t>((attr.allocated() + kStatBlockBytes - 1) / kStatBlockBytes);
  out.st_atim = timespec_of(attr.atime());
  out.st_mtim = timespec_of(attr.mtime());
  out.st_ctim = timespec_of(attr.ctime());
  return out;
}

fuse_entry_param entry_of(const wire::Attr& attr) {
  fuse_entry_param entry{};
  entry.ino = attr.ino();
  entry.generation = kGeneration;
  entry.attr = stat_of(attr);
  entry.attr_timeout = kAttributeTimeoutSeconds;
  entry.entry_timeout = kEntryTimeoutSeconds;
  return entry;
}

SetAttributes changes_of(const struct stat& wanted, int to_set) {
  SetAttributes set;
  if (to_set & FUSE_SET_ATTR_MODE) set.mode = wanted.st_mode & 07777;
  if (to_set & FUSE_SET_ATTR_UID) set.uid = wanted.st_uid;
  if (to_set & FUSE_SET_ATTR_GID) set.gid = wanted.st_gid;
  if (to_set & FUSE_SET_ATTR_SIZE) set.size = static_cast<std::uint64_t>(wanted.st_size);
  if (to_set & FUSE_SET_ATTR_ATIME_NOW)
    set.atime_now = true;
  else if (to_set & FUSE_SET_ATTR_ATIME)
    set.atime = nanoseconds_of(wanted.st_atim);
  if (to_set & FUSE_SET_ATTR_MTIME_NOW)
    set.mtime_now = true;
  else if (to_set & FUSE_SET_ATTR_MTIME)
    set.mtime = nanoseconds_of(wanted.st_mtim);
  return set;
}

std::optional<Allocate> allocate_of(int mode) {
  switch (mode) {
    case 0:
      return Allocate::extend;
    case FALLOC_FL_KEEP_SIZE:
      return Allocate::keep;
    // Of zeros that are kept in store and of a hole a program sees the same.
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
      return Allocate::hole;
    case FALLOC_FL_ZERO_RANGE:
      return Allocate::zero;
    default:
      return std::nullopt;
  }
}

bool drops_set_gid(const SetAttributes& set, const wire::Attr& after) {
  if (set.mode) return true;
  if (after.type() == wire::FILE_DIRECTORY) return false;
  const bool of_times = set.atime || set.mtime || set.atime_now || set.mtime_now;
  return set.size || set.uid || set.gid || !(of_times || set.flags);
}

wire::FileLock lock_of(const struct flock& lock, std::uint64_t owner) {
  wire::FileLock out;
  out.set_kind(wire::FileLock::RECORD);
  out.set_type(lock.l_type == F_UNLCK   ? wire::FileLock::NONE
               : lock.l_type == F_RDLCK ? wire::FileLock::SHARED
                                        : wire::FileLock::EXCLUSIVE);
  out.set_owner(owner);
  out.set_start(static_cast<std::uint64_t>(lock.l_start));
  out.set_end(lock.l_len == 0 ? kLockEnd : static_cast<std::uint64_t>(lock.l_start + lock.l_len - 1));
  out.set_pid(static_cast<std::uint32_t>(lock.l_pid));
  return out;
}

struct flock flock_of(const std::optional<wire::FileLock>& lock) {
  struct flock out{};
  out.l_type = F_UNLCK;
  out.l_whence = SEEK_SET;
  if (!lock) return out;
  out.l_type = lock->type() == wire::FileLock::SHARED ? F_RDLCK : F_WRLCK;
  out.l_start = static_cast<off_t>(lock->start());
  out.l_len = lock->end() == kLockEnd ? 0 : static_cast<off_t>(lock->end() - lock->start() + 1);
  out.l_pid = static_cast<pid_t>(lock->pid());
  return out;
}

wire::FileLock whole_lock_of(int operation, std::uint64_t owner) {
  wire::FileLock out;
  out.set_kind(wire::FileLock::FLOCK);
  out.set_type(operation & LOCK_UN   ? wire::FileLock::NONE
               : operation & LOCK_SH ? wire::FileLock::SHARED
                                     : wire::FileLock::EXCLUSIVE);
  out.set_owner(owner);
  out.set_end(kLockEnd);
  return out;
}

std::uint32_t without_set_id(std::uint32_t mode) {
  mode &= ~static_cast<std::uint32_t>(S_ISUID);
  if (mode & S_IXGRP) mode &= ~static_cast<std::uint32_t>(S_ISGID);
  return mode;
}

}  // namespace chordfs::mount
