// Commits: which step makes unsent data part of the file, and what its refusal means.
#include <fmt/format.h>

#include <algorithm>

#include "fuse/fs/write_behind.h"

namespace chordfs::fs {

namespace {
bool fits_record(const InodeState& inode, const std::vector<Unsent::Piece>& pieces) {
  return inode.map.layout != Layout::in_blocks && !inode.beyond_record && pieces.back().end() <= kInlineBytesMax;
}

std::vector<std::shared_ptr<Upload>> uploads_of(const std::vector<Unsent::Piece>& pieces) {
  std::vector<std::shared_ptr<Upload>> uploads;
  for (const auto& piece : pieces) uploads.push_back(piece.upload);
  std::ranges::sort(uploads, {}, &Upload::number);
  uploads.erase(std::ranges::unique(uploads).begin(), uploads.end());
  return uploads;
}

void add_extent(wire::Commit& commit, const Unsent::Piece& piece) {
  if (commit.extents_size() > 0) {
    auto& last = *commit.mutable_extents(commit.extents_size() - 1);
    bool goes_on = last.block() == piece.upload->block && last.offset() + last.length() == piece.offset &&
                   last.block_offset() + last.length() == piece.block_offset;
    if (goes_on) return last.set_length(last.length() + piece.length);
  }
  auto& extent = *commit.add_extents();
  extent.set_offset(piece.offset);
  extent.set_length(piece.length);
  extent.set_block(piece.upload->block);
  extent.set_block_offset(piece.block_offset);
  extent.set_block_length(static_cast<std::uint32_t>(piece.upload->contents.size()));
  extent.set_block_crc(piece.upload->crc);
}

bool cover(const std::vector<Unsent::Piece>& pieces, std::uint64_t size) {
  std::uint64_t covered = 0;
  for (const auto& piece : pieces)
    if (piece.offset <= covered) covered = std::max(covered, piece.end());
  return covered >= size;
}

/// Trying again cannot help.
bool is_final(Errc code) {
  switch (code) {
    case Errc::not_found:
    case Errc::bad_handle:
    case Errc::is_directory:
    case Errc::invalid:
    case Errc::file_too_large:
    case Errc::overtaken:
      return true;
    default:
      return false;
  }
}
}  // namespace

awaitable<Result<void>> WriteBehind::commit(std::shared_ptr<InodeState> inode, After after) {
  const auto errors_at_first = inode->errors;
  auto turn = co_await inode->committing.acquire();
  if (inode->unsent.empty()) co_return Result<void>();
  // Whoever had the turn has just tried in vain, and for as long as a call may take.
  const bool in_vain = inode->errors != errors_at_first && inode->error && inode->error->code == Errc::unavailable;
  if (in_vain) co_return *inode->error;
  auto errors_before = inode->errors;
  inode->goes_on = after == After::goes_on;
  auto done = co_await commit_up_to(inode, inode->unsent.seal_all());
  if (done) {
    // Everything is stored after all: there is nothing to report any more.
    if (inode->errors == errors_before && !inode->data_lost) inode->error.reset();
  } else if (inode->errors == errors_before) {
    inode->failed(done.error());
  }
  co_return done;
}

awaitable<Result<void>> WriteBehind::commit_up_to(std::shared_ptr<InodeState> inode, std::uint64_t number_max) {
  for (int plan = 0; plan < kPlansMax;) {
    auto pieces = inode->unsent.sealed(number_max);
    if (pieces.empty()) co_return Result<void>();
    bool small = fits_record(*inode, pieces);
    auto progress = small ? co_await commit_in_record(inode, std::move(pieces))
                          : co_await commit_in_blocks(inode, std::move(pieces));
    if (!progress) co_return progress.error();
    if (*progress == Progress::plan_again) ++plan;
  }
  co_return Error{Errc::io_error, fmt::format("inode {:x} changes faster than this mount can write to it", inode->ino)};
}

awaitable<Result<WriteBehind::Progress>> WriteBehind::commit_in_record(std::shared_ptr<InodeState> inode,
                                                                       Pieces pieces) {
  wire::Commit commit;
  for (const auto& piece : pieces) {
    auto& added = *commit.add_pieces();
    added.set_offset(piece.offset);
    added.set_data(std::string(piece.bytes().view()));
  }
  co_return co_await send(std::move(inode), std::move(commit), std::move(pieces));
}

awaitable<Result<WriteBehind::Progress>> WriteBehind::commit_in_blocks(std::shared_ptr<InodeState> inode,
                                                                       Pieces pieces) {
  if (pieces.size() > kExtentsPerCommit) pieces.resize(kExtentsPerCommit);
  CO_TRY(auto record, co_await record_to_move(inode, pieces));
  auto uploads = uploads_of(pieces);
  if (record) uploads.push_back(record);
  CO_TRY_VOID(co_await stored(inode, std::move(uploads)));
  wire::Commit commit;
  // First, so that what is newer lies over it.
  if (record) add_extent(commit, {0, record->contents.size(), record, 0});
  for (const auto& piece : pieces) add_extent(commit, piece);
  co_return co_await send(std::move(inode), std::move(commit), std::move(pieces));
}

awaitable<Result<std::shared_ptr<Upload>>> WriteBehind::record_to_move(std::shared_ptr<InodeState> inode,
                                                                       const Pieces& pieces) {
  std::shared_ptr<Upload> none;
  if (inode->map.layout == Layout::in_blocks) co_return none;
  if (inode->map.layout == Layout::in_record && cover(pieces, inode->attr.allocated())) co_return none;
  // Asked for even if it is known: another mount, under a lock that it has just passed on, may have changed it.
  wire::Query query;
  auto& read = *query.mutable_read_map();
  read.set_ino(inode->ino);
  read.set_length(kInlineBytesMax);
  CO_TRY(auto answer, co_await core_.ask(inode->ino, std::move(query)));
  if (!answer.has_inline() || answer.inode().inline_data().empty()) co_return none;
  auto record = std::make_shared<Upload>();
  record->contents = Bytes::take(std::move(*answer.mutable_inode()->mutable_inline_data()));
  co_return record;
}

awaitable<Result<WriteBehind::Progress>> WriteBehind::send(std::shared_ptr<InodeState> inode, wire::Commit commit,
                                                           Pieces pieces) {
  bool in_blocks = commit.extents_size() > 0;
  commit.set_ino(inode->ino);
  commit.set_size_at_least(pieces.back().end());
  commit.set_mtime(inode->written_at);
  const bool appends = inode->appending;
  // Who writes once only and closes need not be asked for later.
  const bool often = inode->written_through > 0 || inode->written_as != 0;
  commit.set_goes_on(inode->goes_on && often && inode->asked_back == 0 && core_.client.leases());
  // What is appended stands behind whatever others have written.
  commit.set_behind(inode->behind && !appends);
  if (appends) commit.set_append_at(pieces.front().offset);
  wire::Step step;
  *step.mutable_commit() = std::move(commit);
  const auto asked = core_.asking();
  auto answer = co_await core_.transact_data(transaction_of(core_.client, inode->ino, std::move(step)));
  if (!answer) {
    refused(*inode, answer.error(), pieces);
    co_return answer.error();
  }
  if (static_cast<Errc>(answer->error()) == Errc::stale) {
    inode->forget_layout();
    // What is appended may belong further back than it seems from here: not into the record, wherever the rest is.
    if (!in_blocks && appends)
      inode->beyond_record = true;
    else if (!in_blocks)
      inode->map.layout = Layout::in_blocks;
    co_return Progress::plan_again;
  }
  inode->beyond_record = false;
  inode->unsent.forget(pieces);
  inode->unsent_since = core_.runtime().now();
  core_.count_unsent(*inode);
  ++inode->written_through;
  core_.changed(*answer);
  const auto* attr = attr_in(*answer, inode->ino);
  if (attr) core_.note_writer(*inode, *attr, asked);
  if (appends && attr && attr->size() != pieces.back().end()) {
    // Others have appended as well, and these bytes stand elsewhere than the kernel's pages say.
    inode->cached_version = 0;
    core_.pages_are_old(inode->ino);
  }
  // Also if the answer told no attributes: what was known of the contents is old.
  inode->map.forget();
  inode->map.layout = in_blocks ? Layout::in_blocks : Layout::in_record;
  co_return Progress::made;
}

void WriteBehind::refused(InodeState& inode, const Error& error, const Pieces& pieces) {
  if (is_final(error.code)) {
    inode.unsent.clear();
    inode.data_lost = true;
    core_.count_unsent(inode);
    return;
  }
  if (error.code == Errc::disk_full || error.code == Errc::busy) return;
  // It may have been done; then somebody may have written over it, and its blocks be deleted: they are not named again.
  for (const auto& upload : uploads_of(pieces)) {
    if (upload->state != Upload::State::stored) continue;
    upload->state = Upload::State::kept;
    upload->block.clear();
  }
}

}  // namespace chordfs::fs
