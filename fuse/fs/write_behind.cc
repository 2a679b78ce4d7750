#include "fuse/fs/write_behind.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "proto/wire/inode_flags.h"

namespace chordfs::fs {

namespace {
constexpr Duration kLookEvery = 100ms;
}

// ---- Writing ----

awaitable<Result<void>> WriteBehind::write(std::shared_ptr<OpenFile> file, std::uint64_t offset, Bytes bytes) {
  if (offset > kFileBytesMax || bytes.size() > kFileBytesMax - offset)
    co_return Error{Errc::file_too_large, "a write beyond 2^63 bytes"};
  if (file->inode->attr.flags() & kFlagImmutable) co_return Error{Errc::not_permitted, "the file is immutable"};
  CO_TRY_VOID(file->take_error());
  for (std::size_t done = 0; done < bytes.size(); done += kWriteBlockBytes) {
    CO_TRY_VOID(co_await wait_for_room());
    CO_TRY_VOID(co_await make_uniform(file->inode, false));
    CO_TRY_VOID(file->usable());
    take(file->inode, offset + done, bytes.slice(done, kWriteBlockBytes));
  }
  co_return co_await keep_or_commit(file->inode);
}

awaitable<Result<void>> WriteBehind::append(std::shared_ptr<OpenFile> file, std::uint64_t expected, Bytes bytes) {
  CO_TRY_VOID(file->take_error());
  CO_TRY_VOID(co_await wait_for_room());
  auto inode = file->inode;
  CO_TRY_VOID(co_await make_uniform(inode, true));
  CO_TRY_VOID(file->usable());
  const auto end = inode->unsent.empty() ? inode->attr.size() : inode->unsent.end();
  if (end > kFileBytesMax || bytes.size() > kFileBytesMax - end)
    co_return Error{Errc::file_too_large, "a write beyond 2^63 bytes"};
  // All at once: what one call appends is not torn apart.
  for (std::size_t done = 0; done < bytes.size(); done += kWriteBlockBytes)
    take(inode, end + done, bytes.slice(done, kWriteBlockBytes));
  if (end != expected) core_.pages_are_old(inode->ino);
  co_return co_await keep_or_commit(inode);
}

awaitable<Result<void>> WriteBehind::keep_or_commit(std::shared_ptr<InodeState> inode) {
  if (!core_.may_write_behind(*inode)) co_return co_await commit(std::move(inode));
  inode->behind = core_.client.leases();
  co_return Result<void>();
}

awaitable<Result<void>> WriteBehind::make_uniform(std::shared_ptr<InodeState> inode, bool appending) {
  while (inode->appending != appending) {
    if (inode->unsent.empty())
      inode->appending = appending;
    else
      CO_TRY_VOID(co_await commit(inode));
  }
  co_return Result<void>();
}

bool WriteBehind::full() const {
  return core_.unsent_bytes >= core_.sizes.dirty_bytes || under_way_ >= core_.sizes.blocks_queued;
}

awaitable<Result<void>> WriteBehind::wait_for_room() {
  auto least = core_.unsent_bytes;
  auto until = core_.runtime().now() + kRoomWaitMax;
  while (full()) {
    auto now = core_.runtime().now();
    if (now >= until) co_return Error{Errc::io_error, fmt::format("{} bytes wait to be stored in vain", least)};
    hurry_.notify_all();
    co_await core_.unsent_changed.wait_for(core_.runtime(), until - now);
    if (core_.unsent_bytes >= least) continue;
    least = core_.unsent_bytes;
    until = core_.runtime().now() + kRoomWaitMax;
  }
  co_return Result<void>();
}

void WriteBehind::take(const std::shared_ptr<InodeState>& inode, std::uint64_t offset, Bytes bytes) {
  if (inode->unsent.empty()) {
    inode->unsent_since = core_.runtime().now();
    inode->behind = false;
  }
  inode->written_at = core_.runtime().wall_now();
  inode->unsent.write(offset, bytes.view());
  for (const auto& upload : inode->unsent.seal_full()) store(inode, upload);
  core_.count_unsent(*inode);
  unsent_.notify_all();
  if (inode->unsent.bytes() >= core_.sizes.commit_bytes) commit_later(inode);
}

// ---- Blocks ----

void WriteBehind::store(const std::shared_ptr<InodeState>& inode, const std::shared_ptr<Upload>& upload) {
  if (upload->state == Upload::State::storing) return;
  if (!upload->block.empty() && !core_.client.may_name(upload->block)) {
    upload->state = Upload::State::kept;
    upload->block.clear();
  }
  if (upload->state == Upload::State::stored) return;
  if (upload->block.empty()) {
    upload->block = core_.client.new_block(inode->ino);
    upload->crc = crc32c(upload->contents.view());
  }
  if (core_.tasks.stopping()) return;
  upload->state = Upload::State::storing;
  upload->error.reset();
  ++under_way_;
  core_.tasks.spawn("store a block", store_block(inode, upload));
}

awaitable<void> WriteBehind::store_block(std::shared_ptr<InodeState> inode, std::shared_ptr<Upload> upload) {
  // Whoever waits for the upload must hear of its end, also if that is our cancellation.
  struct End {
    WriteBehind& self;
    std::shared_ptr<InodeState> inode;
    std::shared_ptr<Upload> upload;
    ~End() {
      --self.under_way_;
      self.core_.unsent_changed.notify_all();
      if (upload->state == Upload::State::storing) {
        upload->state = Upload::State::kept;
        if (!upload->error) upload->error = Error{Errc::cancelled, "the mount is stopping"};
      }
      inode->stored.notify_all();
    }
  } end{*this, inode, upload};
  auto place = co_await places_.acquire();
  // Written over meanwhile: only this task still has it, once as its argument and once in `end`.
  if (upload.use_count() == 2) co_return;
  auto done = co_await core_.client.put_block(upload->block, upload->contents);
  if (done) {
    upload->state = Upload::State::stored;
    co_return;
  }
  upload->error = done.error();
  inode->failed(done.error());
}

awaitable<Result<void>> WriteBehind::stored(std::shared_ptr<InodeState> inode,
                                            std::vector<std::shared_ptr<Upload>> uploads) {
  for (const auto& upload : uploads) store(inode, upload);
  for (const auto& upload : uploads) {
    while (upload->state == Upload::State::storing) co_await inode->stored.wait();
    if (upload->state == Upload::State::kept)
      co_return upload->error.value_or(Error{Errc::cancelled, "the mount is stopping"});
  }
  co_return Result<void>();
}

// ---- In the background ----

void WriteBehind::start() {
  core_.tasks.spawn("write behind", run());
}

awaitable<void> WriteBehind::run() {
  for (;;) {
    if (core_.unsent_bytes == 0) {
      co_await unsent_.wait();
      continue;
    }
    bool hurry = co_await hurry_.wait_for(core_.runtime(), kLookEvery);
    commit_due(hurry);
  }
}

void WriteBehind::commit_due(bool hurry) {
  auto now = core_.runtime().now();
  for (const auto& [ino, inode] : core_.inodes) {
    if (inode->unsent.empty() || now < inode->retry_at) continue;
    // Nobody who asks for it can be told any more where it is.
    const bool lapsed = inode->owes() && !core_.may_write_behind(*inode);
    if (hurry || lapsed || now - inode->unsent_since >= kCommitAge) commit_later(inode);
  }
}

void WriteBehind::commit_later(const std::shared_ptr<InodeState>& inode) {
  if (inode->in_background || core_.runtime().now() < inode->retry_at) return;
  inode->in_background = true;
  core_.tasks.spawn("commit", commit_in_background(inode));
}

awaitable<void> WriteBehind::commit_in_background(std::shared_ptr<InodeState> inode) {
  auto done = co_await commit(inode);
  inode->in_background = false;
  if (done) co_return;
  spdlog::warn("inode {:x}: what was written could not be committed: {}", inode->ino, done.error().text());
  inode->retry_at = core_.runtime().now() + kRetryAfter;
}

}  // namespace chordfs::fs
