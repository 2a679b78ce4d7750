#include "fuse/fs/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace chordfs::fs {

namespace {
void lay_over(Buffer& buffer, std::uint64_t from, const std::vector<Unsent::Patch>& patches) {
  for (const auto& patch : patches)
    std::memcpy(buffer.data() + (patch.offset - from), patch.bytes.data(), patch.bytes.size());
}
}  // namespace

awaitable<Result<Bytes>> Reader::read(std::shared_ptr<OpenFile> file, std::uint64_t offset, std::size_t size) {
  auto inode = file->inode;
  auto file_size = inode->shown_size();
  if (offset >= file_size || size == 0) co_return Bytes();
  Range range{offset, offset + std::min<std::uint64_t>(size, file_size - offset)};
  auto advice = file->ahead.read(range.from, range.to, inode->attr.size());
  range.whole_blocks = advice.whole_blocks;
  if (advice.from < advice.to) core_.tasks.spawn("read ahead", read_ahead(inode, {advice.from, advice.to, true}));

  // Taken now: what is committed while we wait for the rest is in neither place otherwise.
  auto patches = inode->unsent.patches(range.from, range.to);
  if (patches.empty()) co_return co_await read_committed(inode, range);
  Buffer buffer(range.to - range.from);
  if (!inode->unsent.covers(range.from, range.to)) {
    CO_TRY(auto below, co_await read_committed(inode, range));
    std::memcpy(buffer.data(), below.data(), below.size());
  }
  lay_over(buffer, range.from, patches);
  co_return std::move(buffer).freeze();
}

void Reader::note_failure(InodeState& inode, const Error& error) {
  if (error.code != Errc::unavailable && error.code != Errc::unreachable && error.code != Errc::timed_out) return;
  inode.unanswered = error;
  inode.unanswered_at = core_.runtime().now();
}

bool Reader::failed_just_now(const InodeState& inode) const {
  return inode.unanswered && core_.runtime().now() - inode.unanswered_at < kUnansweredFor;
}

awaitable<Result<Bytes>> Reader::read_committed(std::shared_ptr<InodeState> inode, Range range) {
  if (failed_just_now(*inode)) co_return *inode->unanswered;
  for (int attempt = 1;; ++attempt) {
    auto bytes = co_await read_with_map(inode, range);
    if (!bytes) note_failure(*inode, bytes.error());
    if (bytes.code() != Errc::no_block && bytes.code() != Errc::corrupt) co_return bytes;
    if (attempt == kReadAttemptsMax)
      co_return Error{Errc::io_error, fmt::format("inode {:x}: {}", inode->ino, bytes.error().text())};
    // The file may have changed since its map was read, and the block be gone rightly.
    inode->map.forget();
  }
}

// ---- The map ----

awaitable<Result<std::shared_ptr<const MapPiece>>> Reader::map_piece(std::shared_ptr<InodeState> inode,
                                                                     std::uint64_t index) {
  auto turn = co_await inode->reading_map.acquire();
  auto& map = inode->map;
  if (map.layout == Layout::in_record && map.record) co_return std::make_shared<const MapPiece>(MapPiece{map.record});
  if (auto known = map.pieces.find(index); known != map.pieces.end())
    if (auto piece = known->second.lock()) co_return piece;
  if (failed_just_now(*inode)) co_return *inode->unanswered;  // Who asked before this one waited for us both.
  auto piece = co_await ask_for_piece(inode, index);
  if (!piece) note_failure(*inode, piece.error());
  co_return piece;
}

awaitable<Result<std::shared_ptr<const MapPiece>>> Reader::ask_for_piece(std::shared_ptr<InodeState> inode,
                                                                         std::uint64_t index) {
  auto piece = std::make_shared<MapPiece>();
  auto from = index * kMapPieceBytes;
  auto version = inode->attr.version();
  for (int page = 0; page < kMapPagesMax; ++page) {
    wire::Query query;
    auto& read = *query.mutable_read_map();
    read.set_ino(inode->ino);
    read.set_offset(from);
    read.set_length((index + 1) * kMapPieceBytes - from);
    CO_TRY(auto answer, co_await core_.ask(inode->ino, std::move(query)));
    const auto attr = answer.inode().attr();
    core_.saw(attr);
    if (page > 0 && attr.version() != version) {
      // It has changed between two pages, which therefore do not belong together.
      piece = std::make_shared<MapPiece>();
      from = index * kMapPieceBytes;
      version = attr.version();
      continue;
    }
    version = attr.version();
    bool more = !answer.end() && answer.extents_size() > 0;
    add_to(*piece, std::move(answer));
    if (!more) {
      if (version == inode->attr.version()) core_.remember(*inode, index, piece);
      co_return std::shared_ptr<const MapPiece>(piece);
    }
    from = piece->extents.back().offset() + piece->extents.back().length();
  }
  co_return Error{Errc::io_error, fmt::format("inode {:x}: its map changes faster than it can be read", inode->ino)};
}

void Reader::add_fetches(const MapPiece& piece, Range range, std::vector<Fetch>& fetches) {
  auto ends_before = [&](const wire::Extent& extent) { return extent.offset() + extent.length() <= range.from; };
  for (auto at = std::ranges::partition_point(piece.extents, ends_before); at != piece.extents.end(); ++at) {
    if (at->offset() >= range.to) return;
    auto from = std::max(range.from, at->offset());
    auto to = std::min(range.to, at->offset() + at->length());
    // A block of which most has been written over is not worth fetching whole.
    bool worth = range.whole_blocks && piece.used.at(at->block()) >= at->block_length() / 4;
    bool whole = worth || at->block_length() <= kSmallBlockBytes;
    fetches.push_back({from, static_cast<std::uint32_t>(to - from), *at, whole});
  }
}

// ---- The bytes ----

/// A read that is put together from several fetches.
struct Reader::Job {
  explicit Job(std::uint64_t start, std::size_t size) : from(start), buffer(size) {}
  std::uint64_t from;
  Buffer buffer;
  std::size_t left = 0;
  Signal changed;
  std::optional<Error> error;
};

/// One fetch's part in a job: the job hears of its end however it ends, even if it never begins.
class Reader::Share {
 public:
  explicit Share(std::shared_ptr<Job> job) : job_(std::move(job)) { ++job_->left; }
  Share(Share&&) = default;
  ~Share() {
    if (!job_) return;
    if (!ended_ && !job_->error) job_->error = Error{Errc::cancelled, "the mount is stopping"};
    --job_->left;
    job_->changed.notify_all();
  }
  void end(std::uint64_t offset, Result<Bytes> bytes) {
    ended_ = true;
    if (!bytes)
      job_->error = std::move(bytes).error();
    else
      std::memcpy(job_->buffer.data() + (offset - job_->from), bytes->data(), bytes->size());
  }

 private:
  std::shared_ptr<Job> job_;
  bool ended_ = false;
};

awaitable<Result<Bytes>> Reader::read_with_map(std::shared_ptr<InodeState> inode, Range range) {
  auto size = range.to - range.from;
  // Bytes beyond the committed size are a hole below what is unsent.
  range.to = std::max(range.from, std::min(range.to, inode->attr.size()));
  std::vector<Fetch> fetches;
  std::shared_ptr<const std::string> record;
  for (auto index = range.from / kMapPieceBytes; index * kMapPieceBytes < range.to; ++index) {
    CO_TRY(auto piece, co_await map_piece(inode, index));
    if (piece->record) record = piece->record;
    if (record) break;
    auto start = std::max(range.from, index * kMapPieceBytes);
    auto end = std::min(range.to, (index + 1) * kMapPieceBytes);
    add_fetches(*piece, {start, end, range.whole_blocks}, fetches);
  }
  if (fetches.size() == 1 && fetches[0].length == size) co_return co_await fetch(fetches[0]);
  auto job = std::make_shared<Job>(range.from, size);
  std::memset(job->buffer.data(), 0, size);
  if (record && range.from < record->size() && range.from < range.to) {
    auto length = std::min<std::uint64_t>(record->size(), range.to) - range.from;
    std::memcpy(job->buffer.data(), record->data() + range.from, length);
  }
  co_return co_await fetch_all(record ? std::vector<Fetch>() : std::move(fetches), std::move(job));
}

awaitable<Result<Bytes>> Reader::fetch_all(std::vector<Fetch> fetches, std::shared_ptr<Job> job) {
  for (auto& what : fetches) core_.tasks.spawn("read", fetch_share(Share(job), std::move(what)));
  while (job->left > 0) co_await job->changed.wait();
  if (job->error) co_return *job->error;
  co_return std::move(job->buffer).freeze();
}

awaitable<void> Reader::fetch_share(Share share, Fetch what) {
  auto offset = what.offset;
  auto bytes = co_await fetch(std::move(what));
  share.end(offset, std::move(bytes));
}

awaitable<Result<Bytes>> Reader::fetch(Fetch what) {
  const auto& extent = what.extent;
  auto from = extent.block_offset() + (what.offset - extent.offset());
  if (auto block = cache_.find(extent.block())) co_return block->slice(from, what.length);
  auto place = co_await fetching_.acquire();
  if (what.whole || cache_.expected(extent.block())) {
    CO_TRY(auto block, co_await cache_.fetch(extent.block(), extent.block_length(), extent.block_crc()));
    co_return block.slice(from, what.length);
  }
  auto start = from / kBlockPartBytes * kBlockPartBytes;
  auto past = from + what.length + kBlockPartBytes - 1;
  auto end = std::min<std::uint64_t>(past / kBlockPartBytes * kBlockPartBytes, extent.block_length());
  auto part = co_await core_.client.get_block(extent.block(), static_cast<std::uint32_t>(start),
                                              static_cast<std::uint32_t>(end - start));
  if (!part) co_return part;
  if (part->size() != end - start)
    co_return Error{Errc::corrupt, fmt::format("block {}: a part is too short", hex(extent.block()))};
  co_return part->slice(from - start, what.length);
}

// ---- Ahead of the program ----

awaitable<void> Reader::read_ahead(std::shared_ptr<InodeState> inode, Range range) {
  std::vector<Fetch> fetches;
  for (auto index = range.from / kMapPieceBytes; index * kMapPieceBytes < range.to; ++index) {
    auto piece = co_await map_piece(inode, index);
    // An error will be met again by the read itself, which reports it.
    if (!piece || (*piece)->record) co_return;
    add_fetches(**piece, range, fetches);
  }
  for (auto& what : fetches)
    if (what.whole && !cache_.expected(what.extent.block()))
      core_.tasks.spawn("fetch ahead", fetch_ahead(std::move(what)));
}

awaitable<void> Reader::fetch_ahead(Fetch what) {
  auto place = co_await fetching_ahead_.acquire();
  if (cache_.expected(what.extent.block())) co_return;
  // Whether it succeeded does not matter: the read itself will see.
  auto ignored = co_await cache_.fetch(what.extent.block(), what.extent.block_length(), what.extent.block_crc());
  (void)ignored;
}

}  // namespace chordfs::fs
