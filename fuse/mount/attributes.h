#pragma once
// Attributes as the ring has them <-> as the kernel has them, and what the kernel may remember of them. Pure.

#include <sys/stat.h>

#include <cstdint>
#include <optional>

#include "fuse/fs/filesystem.h"
#include "fuse/mount/libfuse.h"
#include "proto/wire/tree.pb.h"

namespace chordfs::mount {

/// How long the kernel may answer from memory. No entry at all while there are no leases: each path walk asks for every
/// name. Attributes for one tick of the kernel's clock (a millisecond, rounded up): what came with a name is still good
/// when the same system call wants it, and the permission check of the mount's root, which no name leads to, is not one
/// more call for every path. So fstat(2) of a directory may show what was so one tick ago; stat(2) of a path never
/// does, and files are asked for each time.
inline constexpr double kEntryTimeoutSeconds = 0;
inline constexpr double kAttributeTimeoutSeconds = 0.001;
/// Inode numbers are never reused, so one generation does.
inline constexpr std::uint64_t kGeneration = 1;
/// st_blksize: what cp and the like read and write at once. One FUSE request, one block of a file.
inline constexpr blksize_t kIoBytes = 1 << 20;

/// S_IFREG and so on; 0 for FILE_NONE.
mode_t type_bits(wire::FileType type);
/// FILE_NONE for what is no file type.
wire::FileType type_of(mode_t mode);

struct stat stat_of(const wire::Attr& attr);
fuse_entry_param entry_of(const wire::Attr& attr);

/// From the `to_set` bits of a SETATTR. ctime is left out: the ring sets it.
SetAttributes changes_of(const struct stat& wanted, int to_set);
/// A mode of fallocate(2); nothing for those that do not exist here.
std::optional<Allocate> allocate_of(int mode);
/// Is this, by its caller or by the kernel in his name, one of the calls after which set-group-ID stays only for who is
/// of the group? The kernel sends the mode that it thinks right, or a SETATTR of nothing where that is the old one (a
/// write, fallocate(2), or chown(2) of nothing); of directories only chmod(2) is one.
bool drops_set_gid(const SetAttributes& set, const wire::Attr& after);

/// fcntl(2)'s idea of a lock, and back: none in the way is F_UNLCK.
wire::FileLock lock_of(const struct flock& lock, std::uint64_t owner);
struct flock flock_of(const std::optional<wire::FileLock>& lock);
/// flock(2)'s, of a whole file.
wire::FileLock whole_lock_of(int operation, std::uint64_t owner);

/// The mode after a write or truncate by an ordinary user: set-user-ID goes, set-group-ID goes where the group may
/// execute (elsewhere it once meant mandatory locking).
std::uint32_t without_set_id(std::uint32_t mode);

}  // namespace chordfs::mount
