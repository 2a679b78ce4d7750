#include "fuse/mount/operations.h"

#include <fcntl.h>

#include <cerrno>

#include "fuse/mount/attributes.h"
#include "fuse/mount/interruptible.h"
#include "proto/wire/acl.h"

namespace chordfs::mount {

awaitable<void> Operations::lookup(Request request, Ino dir, std::string name) {
  request.entry(co_await files_.lookup(dir, std::move(name)));
}

awaitable<void> Operations::get_attributes(Request request, Ino ino) {
  request.attributes(co_await files_.get_attributes(ino));
}

awaitable<void> Operations::set_attributes(Request request, Ino ino, SetAttributes set) {
  auto attr = co_await files_.set_attributes(ino, set);
  if (attr && drops_set_gid(set, *attr) && foreign_set_gid(request, *attr))
    attr = co_await clear_set_gid(ino, attr->mode());
  request.attributes(attr);
}

awaitable<void> Operations::read_link(Request request, Ino ino) {
  request.link_target(co_await files_.read_link(ino));
}

awaitable<void> Operations::make(Request request, Ino dir, std::string name, NewObject object) {
  auto caller = request.caller();
  request.entry(co_await files_.make(dir, std::move(name), std::move(object), caller));
}

awaitable<void> Operations::link(Request request, Ino ino, Ino dir, std::string name) {
  request.entry(co_await files_.link(ino, dir, std::move(name)));
}

awaitable<void> Operations::unlink(Request request, Ino dir, std::string name) {
  request.finish(co_await files_.unlink(dir, std::move(name)));
}

awaitable<void> Operations::remove_directory(Request request, Ino dir, std::string name) {
  request.finish(co_await files_.remove_directory(dir, std::move(name)));
}

awaitable<void> Operations::rename(Request request, Ino dir, std::string name, Ino to_dir, std::string to_name,
                                   Rename how) {
  request.finish(co_await files_.rename(dir, std::move(name), to_dir, std::move(to_name), how));
}

void Operations::describe(fuse_file_info& info, const Opened& opened) {
  bool writes_only = (info.flags & O_ACCMODE) == O_WRONLY;
  info.fh = opened.handle;
  info.keep_cache = opened.unchanged;
  // Through its pages the kernel splits a write where one of them is not cached: what is appended stays whole.
  info.direct_io = writes_only && (kDirectIoForWriteOnly || (info.flags & O_APPEND));
  // Also of one that only reads: its process may have locks, which end with close.
  info.noflush = 0;
}

awaitable<void> Operations::create(Request request, Ino dir, std::string name, NewObject object, fuse_file_info info) {
  auto caller = request.caller();
  auto opened = co_await files_.create(dir, std::move(name), std::move(object), caller);
  if (opened) {
    describe(info, *opened);
    request.created(opened->attr, info);
  } else if (opened.code() == Errc::exists && !(info.flags & O_EXCL)) {
    // Somebody else made it since the kernel looked. At ESTALE the kernel walks the path again, finds the file and
    // checks its permissions, which it would not do if we opened it here.
    request.finish(ESTALE);
  } else {
    request.fail(opened.error());
  }
}

awaitable<void> Operations::open(Request request, Ino ino, fuse_file_info info) {
  bool truncate = info.flags & O_TRUNC;
  auto opened = co_await files_.open(ino, truncate);
  if (!opened) co_return request.fail(opened.error());
  if (!may_open(opened->attr.flags(), info.flags)) {
    co_await files_.release(opened->handle);
    co_return request.finish(EPERM);
  }
  if (truncate && request.caller().uid != 0) {
    auto cleared = co_await clear_set_id(request, ino, opened->attr);
    if (!cleared) {
      co_await files_.release(opened->handle);
      co_return request.fail(cleared.error());
    }
  }
  describe(info, *opened);
  request.opened(info);
}

bool Operations::foreign_set_gid(const Request& request, const wire::Attr& attr) {
  return (attr.mode() & S_ISGID) && request.caller().uid != 0 && !request.in_group(attr.gid());
}

awaitable<Result<wire::Attr>> Operations::clear_set_gid(Ino ino, std::uint32_t mode) {
  SetAttributes set;
  set.mode = mode & ~static_cast<std::uint32_t>(S_ISGID);
  co_return co_await files_.set_attributes(ino, set);
}

awaitable<Result<void>> Operations::clear_set_id(const Request& request, Ino ino, const wire::Attr& attr) {
  auto kept = without_set_id(attr.mode());
  if (foreign_set_gid(request, attr)) kept &= ~static_cast<std::uint32_t>(S_ISGID);
  if (kept == attr.mode()) co_return Result<void>();
  SetAttributes set;
  set.mode = kept;
  CO_TRY_VOID(co_await files_.set_attributes(ino, set));
  co_return Result<void>();
}

awaitable<Result<void>> Operations::clear_foreign_set_gid(const Request& request, Ino ino) {
  CO_TRY(auto attr, co_await files_.get_attributes(ino));
  if (!foreign_set_gid(request, attr)) co_return Result<void>();
  CO_TRY_VOID(co_await clear_set_gid(ino, attr.mode()));
  co_return Result<void>();
}

awaitable<void> Operations::read(Request request, Ino ino, fuse_file_info info, std::uint64_t offset,
                                 std::size_t size) {
  auto locked = info.flags & O_DIRECT ? Invalidator::Locked() : invalidator_.reading(ino, offset, size);
  auto bytes = co_await files_.read(info.fh, offset, size);
  if (!bytes) co_return request.fail(bytes.error());
  request.data(bytes->view());
}

awaitable<void> Operations::write(Request request, Ino ino, fuse_file_info info, std::uint64_t offset, Bytes bytes) {
  auto size = bytes.size();
  auto locked = info.flags & O_DIRECT ? Invalidator::Locked() : invalidator_.writing(ino, offset, size, info.writepage);
  // Past its pages the kernel leaves set-id bits to us (file_remove_privs is of its cached writes only).
  if ((info.flags & O_ACCMODE) == O_WRONLY && request.caller().uid != 0) {
    auto attr = co_await files_.get_attributes(ino);
    if (!attr) co_return request.fail(attr.error());
    auto cleared = co_await clear_set_id(request, ino, *attr);
    if (!cleared) co_return request.fail(cleared.error());
  }
  // As it stands by now: F_SETFL may have set or cleared it.
  auto done = info.flags & O_APPEND ? co_await files_.append(info.fh, offset, std::move(bytes))
                                    : co_await files_.write(info.fh, offset, std::move(bytes));
  if (!done) co_return request.fail(done.error());
  request.written(size);
}

awaitable<void> Operations::flush(Request request, Handle handle, std::uint64_t lock_owner) {
  request.finish(co_await files_.close(handle, lock_owner));
}

awaitable<void> Operations::test_lock(Request request, Handle handle, wire::FileLock lock) {
  auto found = co_await files_.test_lock(handle, std::move(lock));
  if (!found) co_return request.fail(found.error());
  request.lock(*found);
}

awaitable<void> Operations::lock(Request request, Ino ino, Handle handle, wire::FileLock lock, bool waits) {
  Result<bool> old = false;
  if (waits) {
    Interruptible signals(request, files_.client().runtime().executor());
    old = co_await files_.lock(handle, std::move(lock), signals.interruption());
  } else {
    old = co_await files_.lock(handle, std::move(lock), nullptr);
  }
  // What the program reads from now on is what others wrote before they unlocked.
  if (old && *old) co_await invalidator_.drop_pages(ino);
  if (!old) co_return request.fail(old.error());
  request.finish();
}

awaitable<void> Operations::sync(Request request, Handle handle, Ino ino) {
  request.finish(co_await files_.sync(handle, ino));
}

awaitable<void> Operations::sync_directory(Request request, Ino ino) {
  request.finish(co_await files_.sync_directory(ino));
}

awaitable<void> Operations::allocate(Request request, Handle handle, std::uint64_t offset, std::uint64_t length,
                                     Allocate how) {
  request.finish(co_await files_.allocate(handle, offset, length, how));
}

awaitable<void> Operations::seek(Request request, Handle handle, std::uint64_t offset, Seek what) {
  auto found = co_await files_.seek(handle, offset, what);
  if (!found) co_return request.fail(found.error());
  if (!*found) co_return request.finish(ENXIO);
  request.offset(**found);
}

awaitable<void> Operations::release(Request request, Handle handle) {
  co_await files_.release(handle);
  request.finish();
}

awaitable<void> Operations::open_directory(Request request, Ino ino, fuse_file_info info) {
  // Nothing is asked: the kernel has just fetched the attributes to check the permissions.
  info.fh = next_directory_++;
  directories_.emplace(info.fh, std::make_shared<Directory>(files_, ino));
  request.opened(info);
  co_return;
}

awaitable<void> Operations::read_directory(Request request, Handle handle, Listing listing, std::uint64_t cookie,
                                           std::size_t bytes_max) {
  auto found = directories_.find(handle);
  if (found == directories_.end()) co_return request.finish(EBADF);
  auto directory = found->second;  // The kernel may release it meanwhile.
  auto bytes = co_await directory->read(listing, cookie, bytes_max);
  if (!bytes) co_return request.fail(bytes.error());
  request.data(*bytes);
}

awaitable<void> Operations::release_directory(Request request, Handle handle) {
  directories_.erase(handle);
  request.finish();
  co_return;
}

awaitable<void> Operations::get_xattr(Request request, Ino ino, std::string name, std::size_t room) {
  auto value = co_await files_.get_xattr(ino, std::move(name));
  if (!value) co_return request.fail(value.error());
  request.extended(*value, room);
}

awaitable<void> Operations::list_xattrs(Request request, Ino ino, std::size_t room) {
  auto names = co_await files_.list_xattrs(ino);
  if (!names) co_return request.fail(names.error());
  std::string joined;
  // As every Linux filesystem: they are for those who may read them.
  const bool trusted = request.caller().uid == 0;
  for (const auto& name : *names)
    if (trusted || !name.starts_with("trusted.")) joined.append(name).push_back('\0');
  request.extended(joined, room);
}

awaitable<void> Operations::set_xattr(Request request, Ino ino, std::string name, std::string value, SetXattr how) {
  const bool access = name == kAccessAcl;
  auto done = co_await files_.set_xattr(ino, std::move(name), std::move(value), how);
  if (done && access && request.caller().uid != 0) done = co_await clear_foreign_set_gid(request, ino);
  request.finish(done);
}

awaitable<void> Operations::remove_xattr(Request request, Ino ino, std::string name) {
  request.finish(co_await files_.remove_xattr(ino, std::move(name)));
}

awaitable<void> Operations::get_flags(Request request, Ino ino, FlagsFormat format) {
  auto attr = co_await files_.get_attributes(ino);
  if (!attr) co_return request.fail(attr.error());
  request.ioctl(encode_flags(format, attr->flags()));
}

awaitable<void> Operations::set_flags(Request request, Ino ino, FlagsFormat format, std::string value) {
  SetAttributes set;
  auto flags = decode_flags(format, value);
  if (!flags) co_return request.fail(flags.error());
  set.flags = *flags;
  auto done = co_await files_.set_attributes(ino, set);
  if (!done) co_return request.fail(done.error());
  request.ioctl({});
}

awaitable<void> Operations::usage(Request request) {
  auto usage = co_await files_.usage();
  if (!usage) co_return request.fail(usage.error());
  request.usage(*usage);
}

}  // namespace chordfs::mount
