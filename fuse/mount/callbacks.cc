#include "fuse/mount/callbacks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstdio>
#include <string_view>

#include "fuse/mount/attributes.h"
#include "fuse/mount/receive_buffer.h"
#include "proto/wire/acl.h"

namespace chordfs::mount {

namespace {

constexpr unsigned kWriteBytesMax = 1 << 20;
/// Read-ahead and asynchronous direct I/O that the kernel keeps under way at once, and where it begins to hold back.
constexpr unsigned kBackgroundMax = 64;
constexpr unsigned kCongestionThreshold = 48;

/// What is not named here stays off. In particular: the write-back cache (incoherent between mounts), splice (gains
/// nothing), EXPORT_SUPPORT (handles outlive no restart), HANDLE_KILLPRIV (so that the kernel clears set-id bits with a
/// SETATTR), AUTO_INVAL_DATA (with attribute timeout 0 it costs one call for every read(2), also of cached pages;
/// nobody needs it, recalls invalidate), CACHE_SYMLINKS.
constexpr unsigned kCapabilities = FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_ASYNC_DIO |
                                   FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
                                   FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK | FUSE_CAP_POSIX_LOCKS |
                                   FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_IOCTL_DIR;

Target& target_of(fuse_req_t request) {
  return *static_cast<Target*>(fuse_req_userdata(request));
}

/// Runs `member` of Operations on the Runtime's thread, with a Request first and then copies of the arguments.
template <class... Parameters, class... Arguments>
void post(fuse_req_t request, const char* name, awaitable<void> (Operations::*member)(Request, Parameters...),
          Arguments&&... arguments) {
  auto& target = target_of(request);
  target.inbox.post(name, [&operations = target.operations, member, request = Request(request, name),
                           ... copies = Parameters(std::forward<Arguments>(arguments))]() mutable {
    return (operations.*member)(std::move(request), std::move(copies)...);
  });
}

void init(void* userdata, fuse_conn_info* connection) {
  connection->want = connection->capable & kCapabilities;
  connection->max_write = kWriteBytesMax;
  connection->max_background = kBackgroundMax;
  connection->congestion_threshold = kCongestionThreshold;
  connection->time_gran = 1;
  // max_readahead stays what the kernel offers; session.cc raises the mount's own limit afterwards.
  static_cast<Target*>(userdata)->initialised = true;
}

void lookup(fuse_req_t request, fuse_ino_t dir, const char* name) {
  post(request, "lookup", &Operations::lookup, dir, name);
}

void getattr(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
  post(request, "getattr", &Operations::get_attributes, ino);
}

void setattr(fuse_req_t request, fuse_ino_t ino, struct stat* wanted, int to_set, fuse_file_info*) {
  post(request, "setattr", &Operations::set_attributes, ino, changes_of(*wanted, to_set));
}

void readlink(fuse_req_t request, fuse_ino_t ino) {
  post(request, "readlink", &Operations::read_link, ino);
}

NewObject new_object(mode_t mode) {
  return {.type = type_of(mode), .mode = mode & 07777, .rdev = 0, .target = {}};
}

void mknod(fuse_req_t request, fuse_ino_t dir, const char* name, mode_t mode, dev_t rdev) {
  auto object = new_object(mode);
  object.rdev = rdev;
  if (object.type == wire::FILE_NONE) return (void)fuse_reply_err(request, EINVAL);
  post(request, "mknod", &Operations::make, dir, name, std::move(object));
}

void mkdir(fuse_req_t request, fuse_ino_t dir, const char* name, mode_t mode) {
  post(request, "mkdir", &Operations::make, dir, name, new_object(S_IFDIR | (mode & 07777)));
}

void symlink(fuse_req_t request, const char* target, fuse_ino_t dir, const char* name) {
  auto object = new_object(S_IFLNK | 0777);
  object.target = target;
  post(request, "symlink", &Operations::make, dir, name, std::move(object));
}

void unlink(fuse_req_t request, fuse_ino_t dir, const char* name) {
  post(request, "unlink", &Operations::unlink, dir, name);
}

void rmdir(fuse_req_t request, fuse_ino_t dir, const char* name) {
  post(request, "rmdir", &Operations::remove_directory, dir, name);
}

void rename(fuse_req_t request, fuse_ino_t dir, const char* name, fuse_ino_t to_dir, const char* to_name,
            unsigned flags) {
  Rename how;
  switch (flags) {
    case 0:
      how = Rename::plain;
      break;
    case RENAME_NOREPLACE:
      how = Rename::no_replace;
      break;
    case RENAME_EXCHANGE:
      how = Rename::exchange;
      break;
    default:
      return (void)fuse_reply_err(request, EINVAL);
  }
  post(request, "rename", &Operations::rename, dir, name, to_dir, to_name, how);
}

void link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t dir, const char* name) {
  post(request, "link", &Operations::link, ino, dir, name);
}

void create(fuse_req_t request, fuse_ino_t dir, const char* name, mode_t mode, fuse_file_info* info) {
  post(request, "create", &Operations::create, dir, name, new_object(S_IFREG | (mode & 07777)), *info);
}

void open(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info) {
  post(request, "open", &Operations::open, ino, *info);
}

void read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info* info) {
  post(request, "read", &Operations::read, ino, *info, static_cast<std::uint64_t>(offset), size);
}

void write_buf(fuse_req_t request, fuse_ino_t ino, fuse_bufvec* bytes, off_t offset, fuse_file_info* info) {
  post(request, "write", &Operations::write, ino, *info, static_cast<std::uint64_t>(offset),
       ReceiveBuffer::written(*bytes));
}

void flush(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  post(request, "flush", &Operations::flush, info->fh, info->lock_owner);
}

void getlk(fuse_req_t request, fuse_ino_t, fuse_file_info* info, struct flock* lock) {
  post(request, "getlk", &Operations::test_lock, info->fh, lock_of(*lock, info->lock_owner));
}

void setlk(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info, struct flock* lock, int waits) {
  post(request, "setlk", &Operations::lock, ino, info->fh, lock_of(*lock, info->lock_owner), waits != 0);
}

void flock(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info, int operation) {
  post(request, "flock", &Operations::lock, ino, info->fh, whole_lock_of(operation, info->lock_owner),
       (operation & LOCK_NB) == 0);
}

void fsync(fuse_req_t request, fuse_ino_t ino, int, fuse_file_info* info) {
  post(request, "fsync", &Operations::sync, info->fh, ino);
}

void release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  post(request, "release", &Operations::release, info->fh);
}

void opendir(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info) {
  post(request, "opendir", &Operations::open_directory, ino, *info);
}

void readdir(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* info) {
  post(request, "readdir", &Operations::read_directory, info->fh, Listing::names, static_cast<std::uint64_t>(offset),
       size);
}

void readdirplus(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* info) {
  post(request, "readdirplus", &Operations::read_directory, info->fh, Listing::attributes,
       static_cast<std::uint64_t>(offset), size);
}

void releasedir(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  post(request, "releasedir", &Operations::release_directory, info->fh);
}

void fsyncdir(fuse_req_t request, fuse_ino_t ino, int, fuse_file_info*) {
  post(request, "fsyncdir", &Operations::sync_directory, ino);
}

void statfs(fuse_req_t request, fuse_ino_t) {
  post(request, "statfs", &Operations::usage);
}

/// Who may read and write which is the kernel's business; it knows no others.
bool kept(std::string_view xattr) {
  return xattr.starts_with("user.") || xattr.starts_with("trusted.") || xattr.starts_with("security.") || is_acl(xattr);
}

void getxattr(fuse_req_t request, fuse_ino_t ino, const char* name, size_t room) {
  // Never ENOSYS, or the kernel stops asking for any attribute.
  if (!kept(name)) return (void)fuse_reply_err(request, EOPNOTSUPP);
  post(request, "getxattr", &Operations::get_xattr, ino, name, room);
}

void listxattr(fuse_req_t request, fuse_ino_t ino, size_t room) {
  post(request, "listxattr", &Operations::list_xattrs, ino, room);
}

void setxattr(fuse_req_t request, fuse_ino_t ino, const char* name, const char* value, size_t size, int flags) {
  if (!kept(name)) return (void)fuse_reply_err(request, EOPNOTSUPP);
  auto how = flags & XATTR_CREATE ? SetXattr::create : flags & XATTR_REPLACE ? SetXattr::replace : SetXattr::any;
  post(request, "setxattr", &Operations::set_xattr, ino, name, std::string_view(value, size), how);
}

void removexattr(fuse_req_t request, fuse_ino_t ino, const char* name) {
  if (!kept(name)) return (void)fuse_reply_err(request, EOPNOTSUPP);
  post(request, "removexattr", &Operations::remove_xattr, ino, name);
}

void ioctl(fuse_req_t request, fuse_ino_t ino, unsigned command, void*, fuse_file_info*, unsigned, const void* bytes,
           size_t size, size_t room) {
  const auto asked = flags_ioctl(command);
  if (!asked) return (void)fuse_reply_err(request, ENOTTY);
  if (asked->sets)
    post(request, "ioctl", &Operations::set_flags, ino, asked->format,
         std::string_view(static_cast<const char*>(bytes), size));
  else if (room < encode_flags(asked->format, 0).size())
    fuse_reply_err(request, EINVAL);
  else
    post(request, "ioctl", &Operations::get_flags, ino, asked->format);
}

void fallocate(fuse_req_t request, fuse_ino_t, int mode, off_t offset, off_t length, fuse_file_info* info) {
  auto how = allocate_of(mode);
  if (!how) return (void)fuse_reply_err(request, EOPNOTSUPP);
  post(request, "fallocate", &Operations::allocate, info->fh, static_cast<std::uint64_t>(offset),
       static_cast<std::uint64_t>(length), *how);
}

void lseek(fuse_req_t request, fuse_ino_t, off_t offset, int whence, fuse_file_info* info) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return (void)fuse_reply_err(request, EINVAL);
  post(request, "lseek", &Operations::seek, info->fh, static_cast<std::uint64_t>(offset),
       whence == SEEK_DATA ? Seek::data : Seek::hole);
}

/// forget and forget_multi are left to libfuse, which ignores them: an inode number names its record for ever, so there
/// is no table of what the kernel refers to.
constexpr fuse_lowlevel_ops kCallbacks = {
    .init = init,
    .lookup = lookup,
    .getattr = getattr,
    .setattr = setattr,
    .readlink = readlink,
    .mknod = mknod,
    .mkdir = mkdir,
    .unlink = unlink,
    .rmdir = rmdir,
    .symlink = symlink,
    .rename = rename,
    .link = link,
    .open = open,
    .read = read,
    .flush = flush,
    .release = release,
    .fsync = fsync,
    .opendir = opendir,
    .readdir = readdir,
    .releasedir = releasedir,
    .fsyncdir = fsyncdir,
    .statfs = statfs,
    .setxattr = setxattr,
    .getxattr = getxattr,
    .listxattr = listxattr,
    .removexattr = removexattr,
    .create = create,
    .getlk = getlk,
    .setlk = setlk,
    .ioctl = ioctl,
    .write_buf = write_buf,
    .flock = flock,
    .fallocate = fallocate,
    .readdirplus = readdirplus,
    .lseek = lseek,
};

}  // namespace

const fuse_lowlevel_ops& callbacks() {
  return kCallbacks;
}

}  // namespace chordfs::mount
