#include "fuse/fs/holes.h"

#include <fmt/format.h>

#include <algorithm>

#include "fuse/fs/reader.h"

namespace chordfs::fs {

awaitable<Result<void>> Holes::allocate(std::shared_ptr<InodeState> inode, std::uint64_t offset, std::uint64_t length,
                                        Allocate how) {
  if (offset > kFileBytesMax || length > kFileBytesMax - offset)
    co_return Error{Errc::file_too_large, "a range beyond 2^63 bytes"};
  CO_TRY_VOID(co_await writes_.commit(inode));
  // No commit may pass by: what was written before must not come back into the hole.
  auto turn = co_await inode->committing.acquire();
  wire::Step step;
  auto& allocate = *step.mutable_allocate();
  allocate.set_ino(inode->ino);
  allocate.set_offset(offset);
  allocate.set_length(length);
  allocate.set_keep_size(how == Allocate::keep || how == Allocate::hole);
  allocate.set_hole(how == Allocate::hole || how == Allocate::zero);
  CO_TRY(auto answer, co_await core_.transact_step(std::move(step), inode->ino));
  core_.changed(answer);
  co_return Result<void>();
}

awaitable<Result<std::optional<std::uint64_t>>> Holes::seek(std::shared_ptr<InodeState> inode, std::uint64_t offset,
                                                            Seek what) {
  std::optional<std::uint64_t> none;
  CO_TRY_VOID(co_await writes_.commit(inode));
  auto at = offset;
  for (int page = 0; page < kMapPagesMax; ++page) {
    wire::Query query;
    auto& read = *query.mutable_read_map();
    read.set_ino(inode->ino);
    read.set_offset(at);
    read.set_length(kFileBytesMax - std::min(at, kFileBytesMax));
    CO_TRY(auto answer, co_await core_.ask(inode->ino, std::move(query)));
    const auto size = answer.inode().attr().size();
    core_.saw(answer.inode().attr());
    if (offset >= size) co_return none;
    if (answer.has_inline()) {
      const std::uint64_t held = answer.inode().inline_data().size();
      if (what == Seek::data) co_return at < held ? at : none;
      co_return std::max(at, std::min(held, size));
    }
    for (const auto& extent : answer.extents()) {
      if (what == Seek::data) co_return std::max(at, extent.offset());
      if (extent.offset() > at) co_return at;
      at = extent.offset() + extent.length();
    }
    if (answer.end()) co_return what == Seek::data ? none : std::min(at, size);
  }
  co_return Error{Errc::io_error, fmt::format("inode {:x}: its map changes faster than it can be read", inode->ino)};
}

}  // namespace chordfs::fs
