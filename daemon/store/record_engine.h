#pragma once
// RecordEngine: the records of a Disk, in RocksDB, through blocking calls.
// Owner: RealDisk; snapshots keep the database open until they are released. Thread: any number at once.
// Errors: io_error, disk_full, corrupt, with RocksDB's own words. After an io_error of a write or a sync every later
// write fails as well: what a failed fsync left on the disk is unknown, and asking again would say yes (fsyncgate).
// A log that ends before what was synced (`directory`.synced says how far that is) is corrupt, and nothing is touched.

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "daemon/store/disk.h"
#include "daemon/store/sync_mark.h"

namespace rocksdb {
class DB;
class Status;
class WriteBatch;
}  // namespace rocksdb

namespace chordfs {

class RecordEngine {
 public:
  struct Limits {
    std::size_t block_cache_bytes = 0;
    std::size_t memtable_bytes = 0;
  };
  using Look = std::move_only_function<void(const RecordView&)>;

  static Result<std::unique_ptr<RecordEngine>> open(const std::filesystem::path& directory, Limits limits);
  ~RecordEngine();

  /// All batches, in order, as one. With Sync::yes they and everything before them are durable on return.
  Result<void> write(std::span<const Batch* const> batches, Sync sync);
  /// Runs `look` on the records as they are now.
  Result<void> look(Look& look) const;
  /// look(), unless something would have to come from a table file: then false, and no failure.
  bool look_in_memory(const std::function<void(const RecordView&)>& look) const;
  std::shared_ptr<const RecordView> snapshot() const;
  /// Runs `look` on a view that snapshot() gave.
  Result<void> look_at(const RecordView& snapshot, Look& look) const;
  /// On disk and in the log, roughly.
  std::uint64_t bytes() const;

 private:
  class SealListener;
  RecordEngine(std::shared_ptr<rocksdb::DB> db, std::shared_ptr<SealListener> listener, std::unique_ptr<SyncMark> mark);

  Result<void> sync_log();
  Result<void> check_room(std::uint64_t bytes) const;
  Result<void> checked(const rocksdb::Status& status);

  std::shared_ptr<rocksdb::DB> db_;
  std::shared_ptr<SealListener> listener_;
  std::unique_ptr<SyncMark> mark_;
  mutable std::mutex mutex_;      ///< Over failure_.
  std::optional<Error> failure_;  ///< The io_error that ended all writing.
};

}  // namespace chordfs
