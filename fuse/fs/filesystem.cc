#include "fuse/fs/filesystem.h"

#include "fuse/fs/attributes.h"
#include "fuse/fs/file_locks.h"
#include "fuse/fs/files.h"
#include "fuse/fs/holes.h"
#include "fuse/fs/namespace.h"
#include "fuse/fs/reader.h"
#include "fuse/fs/write_behind.h"
#include "fuse/fs/xattrs.h"

namespace chordfs {

class FileSystem::Impl {
 public:
  Impl(Client& client, std::uint64_t cache_bytes) : core(client, fs::CacheSizes(cache_bytes)) {}

  fs::Core core;
  fs::WriteBehind writes{core};
  fs::Coherence coherence{core, writes};
  fs::Reader reader{core};
  fs::Attributes attributes{core, writes};
  fs::Namespace names{core, attributes};
  fs::Holes holes{core, writes};
  fs::FileLocks locks{core, writes};
  fs::Files files{core, attributes, names, writes, reader, holes, locks, coherence};
  fs::Xattrs xattrs{core};
};

FileSystem::FileSystem(Client& client, std::uint64_t cache_bytes)
    : impl_(std::make_unique<Impl>(client, cache_bytes)) {}
FileSystem::~FileSystem() = default;

Client& FileSystem::client() {
  return impl_->core.client;
}

awaitable<Result<void>> FileSystem::start(std::string name) {
  CO_TRY_VOID(co_await impl_->core.open_session(std::move(name)));
  impl_->writes.start();
  impl_->coherence.start();
  co_return Result<void>();
}

awaitable<void> FileSystem::stop() {
  co_await impl_->files.close_all();
  impl_->core.tasks.stop();
  co_await impl_->core.tasks.join();
  co_await impl_->core.client.close_session();
}

// ---- Names ----

awaitable<Result<wire::Attr>> FileSystem::lookup(Ino dir, std::string name) {
  return impl_->attributes.lookup({dir, std::move(name)});
}
awaitable<Result<wire::Attr>> FileSystem::make(Ino dir, std::string name, NewObject object, Caller caller) {
  return impl_->names.make({dir, std::move(name)}, std::move(object), caller, fs::Namespace::Make::closed);
}
awaitable<Result<Opened>> FileSystem::create(Ino dir, std::string name, NewObject object, Caller caller) {
  return impl_->files.create({dir, std::move(name)}, std::move(object), caller);
}
awaitable<Result<wire::Attr>> FileSystem::link(Ino ino, Ino dir, std::string name) {
  return impl_->names.link(ino, {dir, std::move(name)});
}
awaitable<Result<void>> FileSystem::unlink(Ino dir, std::string name) {
  return impl_->names.unlink({dir, std::move(name)});
}
awaitable<Result<void>> FileSystem::remove_directory(Ino dir, std::string name) {
  return impl_->names.remove_directory({dir, std::move(name)});
}
awaitable<Result<void>> FileSystem::rename(Ino dir, std::string name, Ino to_dir, std::string to_name, Rename how) {
  return impl_->names.rename({{dir, std::move(name)}, {to_dir, std::move(to_name)}, how});
}

// ---- Attributes ----

awaitable<Result<wire::Attr>> FileSystem::get_attributes(Ino ino) {
  return impl_->attributes.get(ino);
}
awaitable<Result<wire::Attr>> FileSystem::set_attributes(Ino ino, SetAttributes set) {
  return impl_->attributes.set(ino, set);
}
awaitable<Result<std::string>> FileSystem::read_link(Ino ino) {
  return impl_->attributes.read_link(ino);
}
awaitable<Result<std::vector<DirectoryEntry>>> FileSystem::read_directory(Ino dir, std::uint64_t cookie,
                                                                          std::size_t entries_max, bool plus) {
  return impl_->attributes.read_directory(dir, cookie, entries_max, plus);
}
awaitable<Result<Usage>> FileSystem::usage() {
  return impl_->attributes.usage();
}

// ---- Files ----

awaitable<Result<Opened>> FileSystem::open(Ino ino, bool truncate) {
  return impl_->files.open(ino, truncate);
}
awaitable<Result<Bytes>> FileSystem::read(Handle handle, std::uint64_t offset, std::size_t size) {
  return impl_->files.read(handle, offset, size);
}
awaitable<Result<void>> FileSystem::write(Handle handle, std::uint64_t offset, Bytes bytes) {
  return impl_->files.write(handle, offset, std::move(bytes));
}
awaitable<Result<void>> FileSystem::append(Handle handle, std::uint64_t expected, Bytes bytes) {
  return impl_->files.append(handle, expected, std::move(bytes));
}
void FileSystem::when_pages_are_old(std::function<void(Ino)> call, std::function<awaitable<void>(Ino)> drop) {
  impl_->core.pages_are_old = std::move(call);
  impl_->coherence.drops_pages(std::move(drop));
}
awaitable<Result<void>> FileSystem::flush(Handle handle) {
  return impl_->files.flush(handle);
}
awaitable<Result<bool>> FileSystem::lock(Handle handle, wire::FileLock lock,
                                         std::shared_ptr<Interruption> interruption) {
  return impl_->files.lock(handle, std::move(lock), std::move(interruption));
}
awaitable<Result<std::optional<wire::FileLock>>> FileSystem::test_lock(Handle handle, wire::FileLock lock) {
  return impl_->files.test_lock(handle, std::move(lock));
}
awaitable<Result<void>> FileSystem::close(Handle handle, std::uint64_t lock_owner) {
  return impl_->files.close(handle, lock_owner);
}
awaitable<Result<void>> FileSystem::sync(Handle handle, Ino ino) {
  CO_TRY_VOID(co_await impl_->files.flush(handle));
  co_return co_await sync_directory(ino);
}
awaitable<Result<void>> FileSystem::sync_directory(Ino ino) {
  return client().sync(client().arc_of_ino(ino));
}
awaitable<Result<void>> FileSystem::allocate(Handle handle, std::uint64_t offset, std::uint64_t length, Allocate how) {
  return impl_->files.allocate(handle, offset, length, how);
}
awaitable<Result<std::optional<std::uint64_t>>> FileSystem::seek(Handle handle, std::uint64_t offset, Seek what) {
  return impl_->files.seek(handle, offset, what);
}
awaitable<void> FileSystem::release(Handle handle) {
  return impl_->files.release(handle);
}

// ---- Extended attributes ----

awaitable<Result<std::string>> FileSystem::get_xattr(Ino ino, std::string name) {
  return impl_->xattrs.get(ino, std::move(name));
}
awaitable<Result<std::vector<std::string>>> FileSystem::list_xattrs(Ino ino) {
  return impl_->xattrs.list(ino);
}
awaitable<Result<void>> FileSystem::set_xattr(Ino ino, std::string name, std::string value, SetXattr how) {
  return impl_->xattrs.set(ino, std::move(name), std::move(value), how);
}
awaitable<Result<void>> FileSystem::remove_xattr(Ino ino, std::string name) {
  return impl_->xattrs.remove(ino, std::move(name));
}

}  // namespace chordfs
