#pragma once
// WriteBehind: takes what programs write, stores it as blocks in the background, and commits it to the inodes: on
// flush, and by itself once it is kCommitAge old or CacheSizes::commit_bytes much.
//
// Owner: FileSystem. Thread: the Runtime's. Commits of one inode are one after the other.
// Errors: a failure in the background is kept in the inode and reported once by each of its handles; the data stays
// and is tried again by the next commit, unless it can never be stored (the file is gone, the session lost).
// Never commits an extent before its block is durable; never names a block again after an outcome was unknown.
// Limits: CacheSizes::dirty_bytes of unsent data, then writers wait up to kRoomWaitMax; kBlocksInFlight blocks on their
// way.

#include <memory>

#include "fuse/fs/core.h"
#include "fuse/fs/open_file.h"

namespace chordfs::fs {

inline constexpr Duration kCommitAge = 1s;
inline constexpr Duration kRetryAfter = 5s;
inline constexpr Duration kRoomWaitMax = 10s;
inline constexpr std::size_t kBlocksInFlight = 8;
inline constexpr std::size_t kExtentsPerCommit = 4096;

class WriteBehind {
 public:
  explicit WriteBehind(Core& core) : core_(core) {}

  /// Begins the background work.
  void start();

  awaitable<Result<void>> write(std::shared_ptr<OpenFile> file, std::uint64_t offset, Bytes bytes);
  /// The same at the file's end, wherever that is once it is committed. `expected`: where the kernel put its pages.
  awaitable<Result<void>> append(std::shared_ptr<OpenFile> file, std::uint64_t expected, Bytes bytes);
  /// What the program is expected to do next: whoever goes on writing may become, or stays, the file's writer.
  enum class After { goes_on, done };
  /// Everything written before this call is committed when it returns.
  awaitable<Result<void>> commit(std::shared_ptr<InodeState> inode, After after = After::goes_on);

 private:
  using Pieces = std::vector<Unsent::Piece>;
  enum class Progress { made, plan_again };

  /// What is unsent is appended, or none of it, before more of the one kind comes.
  awaitable<Result<void>> make_uniform(std::shared_ptr<InodeState> inode, bool appending);
  bool full() const;
  awaitable<Result<void>> wait_for_room();
  void take(const std::shared_ptr<InodeState>& inode, std::uint64_t offset, Bytes bytes);
  /// What was just taken may stay here, or is committed.
  awaitable<Result<void>> keep_or_commit(std::shared_ptr<InodeState> inode);

  // Blocks (write_behind.cc).
  void store(const std::shared_ptr<InodeState>& inode, const std::shared_ptr<Upload>& upload);
  awaitable<void> store_block(std::shared_ptr<InodeState> inode, std::shared_ptr<Upload> upload);
  awaitable<Result<void>> stored(std::shared_ptr<InodeState> inode, std::vector<std::shared_ptr<Upload>> uploads);

  // In the background (write_behind.cc).
  awaitable<void> run();
  void commit_due(bool hurry);
  void commit_later(const std::shared_ptr<InodeState>& inode);
  awaitable<void> commit_in_background(std::shared_ptr<InodeState> inode);

  // Commits (commit.cc).
  awaitable<Result<void>> commit_up_to(std::shared_ptr<InodeState> inode, std::uint64_t number_max);
  awaitable<Result<Progress>> commit_in_record(std::shared_ptr<InodeState> inode, Pieces pieces);
  awaitable<Result<Progress>> commit_in_blocks(std::shared_ptr<InodeState> inode, Pieces pieces);
  awaitable<Result<Progress>> send(std::shared_ptr<InodeState> inode, wire::Commit commit, Pieces pieces);
  awaitable<Result<std::shared_ptr<Upload>>> record_to_move(std::shared_ptr<InodeState> inode, const Pieces& pieces);
  void refused(InodeState& inode, const Error& error, const Pieces& pieces);

  Core& core_;
  Semaphore places_{kBlocksInFlight};
  std::size_t under_way_ = 0;  ///< Blocks on their way or waiting for a place.
  Signal unsent_;              ///< There is something to watch over.
  Signal hurry_;               ///< A writer waits for room.
};

}  // namespace chordfs::fs
