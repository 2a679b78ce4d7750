#include "fuse/fs/files.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace chordfs::fs {

namespace {
/// Of a read while others keep changing the file.
constexpr int kReadAttempts = 8;

/// What came along with an open, if it is the whole map of the file.
void remember_contents(Core& core, InodeState& inode, wire::QueryAnswer answer) {
  if (inode.attr.type() != wire::FILE_REGULAR || !answer.end()) return;
  auto piece = std::make_shared<MapPiece>();
  add_to(*piece, std::move(answer));
  auto reached = piece->extents.empty() ? 0 : piece->extents.back().offset() + piece->extents.back().length();
  if (piece->record || (reached >= inode.attr.size() && reached <= kMapPieceBytes))
    core.remember(inode, 0, std::move(piece));
}
}  // namespace

Result<std::shared_ptr<OpenFile>> Files::find(Handle handle) const {
  auto found = handles_.find(handle);
  if (found == handles_.end()) return Error{Errc::bad_handle, fmt::format("handle {} is not open", handle)};
  return found->second;
}

std::shared_ptr<InodeState> Files::acquire(Ino ino) {
  auto& state = core_.inodes[ino];
  if (!state) {
    state = std::make_shared<InodeState>(ino);
    if (auto* version = core_.closed_versions.find(ino)) state->cached_version = *version;
  }
  ++state->handles;
  return state;
}

void Files::let_go(const std::shared_ptr<InodeState>& inode) {
  if (--inode->handles > 0) return;
  // What could not be stored by now has been reported by flush, and nobody is left who could try again.
  inode->unsent.clear();
  core_.count_unsent(*inode);
  coherence_.closed(inode);
  if (inode->cached_version > 0) core_.closed_versions.put(inode->ino, inode->cached_version);
  core_.inodes.erase(inode->ino);
}

Handle Files::add(std::shared_ptr<InodeState> inode) {
  auto file = std::make_shared<OpenFile>();
  file->ahead = ReadAhead(core_.sizes.ahead_bytes);
  file->session = core_.session;
  file->errors_seen = inode->errors;
  file->inode = std::move(inode);
  core_.client.opened(file->inode->ino);
  handles_.emplace(next_handle_, std::move(file));
  return next_handle_++;
}

// ---- Opening ----

awaitable<Result<Opened>> Files::create(Place place, NewObject object, Caller caller) {
  const auto asked = core_.asking();
  CO_TRY(auto attr, co_await names_.make(std::move(place), std::move(object), caller, Namespace::Make::opens));
  auto inode = acquire(attr.ino());
  inode->saw(attr);
  core_.note_writer(*inode, attr, asked);
  inode->cached_version = attr.version();
  co_return Opened{add(std::move(inode)), attr, false};
}

awaitable<Result<Opened>> Files::open(Ino ino, bool truncate) {
  CO_TRY(auto answer, co_await core_.get_inode(ino, GetInode::opens));
  const auto attr = answer.inode().attr();
  if (attr.type() == wire::FILE_DIRECTORY) co_return Error{Errc::is_directory, fmt::format("inode {:x}", ino)};
  auto inode = acquire(ino);
  inode->saw(attr);
  if (inode->attr.version() == attr.version()) remember_contents(core_, *inode, std::move(answer));
  bool unchanged = inode->cached_version == attr.version();
  inode->cached_version = attr.version();
  inode->absent_xattrs.clear();
  Opened opened{add(inode), inode->shown(attr), unchanged};
  if (!truncate) co_return opened;
  // Also an empty file: O_TRUNC changes its times (`: > stamp`).
  SetAttributes set;
  set.size = 0;
  set.goes_on = core_.client.leases();
  auto empty = co_await attributes_.set(ino, set);
  if (empty) {
    opened.attr = *empty;
    opened.unchanged = false;
    co_return opened;
  }
  co_await release(opened.handle);
  co_return empty.error();
}

// ---- Working with a handle ----

awaitable<Result<std::shared_ptr<OpenFile>>> Files::usable(Handle handle) {
  CO_TRY(auto file, find(handle));
  if (!file->inode->locks.empty()) CO_TRY_VOID(co_await core_.confirm_locks());
  CO_TRY_VOID(file->usable());
  co_return file;
}

awaitable<Result<bool>> Files::lock(Handle handle, wire::FileLock lock, std::shared_ptr<Interruption> interruption) {
  CO_TRY(auto file, co_await usable(handle));
  co_return co_await locks_.set(std::move(file), std::move(lock), std::move(interruption));
}

awaitable<Result<std::optional<wire::FileLock>>> Files::test_lock(Handle handle, wire::FileLock lock) {
  CO_TRY(auto file, co_await usable(handle));
  co_return co_await locks_.test(std::move(file), std::move(lock));
}

awaitable<Result<void>> Files::close(Handle handle, std::uint64_t lock_owner) {
  const auto found = find(handle);
  const bool last = found && (*found)->inode->handles == 1;
  auto done = co_await flush(handle, last ? WriteBehind::After::done : WriteBehind::After::goes_on);
  if (auto file = find(handle)) co_await locks_.closed_by((*file)->inode, lock_owner);
  co_return done;
}

awaitable<Result<Bytes>> Files::read(Handle handle, std::uint64_t offset, std::size_t size) {
  CO_TRY(auto file, co_await usable(handle));
  const auto& recalls = file->inode->page_recalls;
  for (int attempt = 1;; ++attempt) {
    const auto before = recalls;
    CO_TRY_VOID(co_await coherence_.refresh(file->inode));
    auto bytes = co_await reader_.read(file, offset, size);
    coherence_.cover(*file->inode);
    // Its lease was given back without these pages, which the kernel fills with what is read now.
    if (recalls == before || attempt == kReadAttempts) co_return bytes;
  }
}

awaitable<Result<void>> Files::write(Handle handle, std::uint64_t offset, Bytes bytes) {
  CO_TRY(auto file, co_await usable(handle));
  auto done = co_await writes_.write(file, offset, std::move(bytes));
  coherence_.cover(*file->inode);
  co_return done;
}

awaitable<Result<void>> Files::append(Handle handle, std::uint64_t expected, Bytes bytes) {
  CO_TRY(auto file, co_await usable(handle));
  auto done = co_await writes_.append(file, expected, std::move(bytes));
  coherence_.cover(*file->inode);
  co_return done;
}

awaitable<Result<void>> Files::flush(Handle handle, WriteBehind::After after) {
  CO_TRY(auto file, find(handle));
  CO_TRY_VOID(file->usable());
  auto done = co_await writes_.commit(file->inode, after);
  CO_TRY_VOID(file->usable());
  if (done) co_return file->take_error();
  file->errors_seen = file->inode->errors;
  co_return done;
}

awaitable<Result<void>> Files::allocate(Handle handle, std::uint64_t offset, std::uint64_t length, Allocate how) {
  CO_TRY(auto file, co_await usable(handle));
  co_return co_await holes_.allocate(file->inode, offset, length, how);
}

awaitable<Result<std::optional<std::uint64_t>>> Files::seek(Handle handle, std::uint64_t offset, Seek what) {
  CO_TRY(auto file, co_await usable(handle));
  CO_TRY_VOID(co_await coherence_.refresh(file->inode));
  co_return co_await holes_.seek(file->inode, offset, what);
}

// ---- Closing ----

awaitable<void> Files::release(Handle handle) {
  auto found = handles_.find(handle);
  if (found == handles_.end()) co_return;
  auto file = found->second;
  auto inode = file->inode;
  handles_.erase(found);
  // An unlinked file that nobody else has open: its last bytes are not worth sending.
  bool needless = inode->handles == 1 && inode->attr.version() > 0 && inode->attr.nlink() == 0;
  if (!needless) {
    auto done = co_await writes_.commit(inode, WriteBehind::After::done);
    if (!done && inode->handles == 1)
      spdlog::warn("inode {:x} is closed with unsaved data: {}", inode->ino, done.error().text());
  }
  co_await locks_.closed(file);
  core_.client.released(inode->ino);
  let_go(inode);
}

awaitable<void> Files::close_all() {
  while (!handles_.empty()) co_await release(handles_.begin()->first);
}

}  // namespace chordfs::fs
