#pragma once
// Reader: bytes of files, from what this mount has not sent yet, from the inode's record and from blocks. Maps are kept
// as long as the inode's version stays what it was; blocks as long as there is room.
// Owner: FileSystem. Thread: the Runtime's.
// Errors: no_block in spite of a fresh map, corrupt and unavailable become io_error naming the block.
// Limits: CacheSizes::fetches blocks or parts of blocks for all reads together, as many again for reading ahead.

#include <memory>
#include <vector>

#include "fuse/fs/block_cache.h"
#include "fuse/fs/core.h"
#include "fuse/fs/open_file.h"

namespace chordfs::fs {

inline constexpr int kReadAttemptsMax = 3;
/// The kernel asks again at once, page by page, for what it could not read ahead: all those get the first answer, or
/// one read of a program would wait for several deadlines.
inline constexpr Duration kUnansweredFor = 200ms;
inline constexpr int kMapPagesMax = 1000;
/// Blocks are checksummed in parts of this size: less is never fetched.
inline constexpr std::uint64_t kBlockPartBytes = 16U << 10;
/// A block of this size or less is always fetched whole.
inline constexpr std::uint64_t kSmallBlockBytes = 128U << 10;

class Reader {
 public:
  explicit Reader(Core& core)
      : core_(core),
        cache_(core.client, core.sizes.block_bytes),
        fetching_(core.sizes.fetches),
        fetching_ahead_(core.sizes.fetches) {}

  awaitable<Result<Bytes>> read(std::shared_ptr<OpenFile> file, std::uint64_t offset, std::size_t size);

 private:
  struct Range {
    std::uint64_t from = 0, to = 0;
    bool whole_blocks = false;
  };
  /// A part of a block that is a part of the file.
  struct Fetch {
    std::uint64_t offset = 0;  ///< In the file.
    std::uint32_t length = 0;
    wire::Extent extent;
    bool whole = false;
    std::uint64_t end() const { return offset + length; }
  };
  struct Job;
  class Share;

  void note_failure(InodeState& inode, const Error& error);
  bool failed_just_now(const InodeState& inode) const;
  awaitable<Result<Bytes>> read_committed(std::shared_ptr<InodeState> inode, Range range);
  awaitable<Result<Bytes>> read_with_map(std::shared_ptr<InodeState> inode, Range range);
  awaitable<Result<std::shared_ptr<const MapPiece>>> map_piece(std::shared_ptr<InodeState> inode, std::uint64_t index);
  awaitable<Result<std::shared_ptr<const MapPiece>>> ask_for_piece(std::shared_ptr<InodeState> inode,
                                                                   std::uint64_t index);
  static void add_fetches(const MapPiece& piece, Range range, std::vector<Fetch>& fetches);

  awaitable<Result<Bytes>> fetch(Fetch what);
  awaitable<Result<Bytes>> fetch_all(std::vector<Fetch> fetches, std::shared_ptr<Job> job);
  awaitable<void> fetch_share(Share share, Fetch what);

  awaitable<void> read_ahead(std::shared_ptr<InodeState> inode, Range range);
  awaitable<void> fetch_ahead(Fetch what);

  Core& core_;
  BlockCache cache_;
  Semaphore fetching_;
  Semaphore fetching_ahead_;
};

}  // namespace chordfs::fs
