#pragma once
// RealDisk: a Disk over RocksDB and plain files in one data directory. Formats: FORMAT.md.
//
// Owner: the node; the Runtime outlives it. Thread: the Runtime's. It keeps threads of its own: one that commits, one
// that runs the plans of update(), a few that read and a few that write files; they hand results back by posting to the
// Runtime's executor. Destruction waits for what a thread is in the middle of; operations not begun end in `cancelled`.
// A group commit is everything that was queued while the last one was written; if any of it wants a sync, all of it
// gets it. Plans and commits may overtake one another unless the caller waits in between.
// Errors: as Disk says. Limits: Options; a group commit takes at most kGroupBytesMax.

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include "daemon/store/directory_lock.h"
#include "daemon/store/disk.h"
#include "daemon/store/file_directory.h"
#include "daemon/store/record_engine.h"
#include "daemon/store/worker_pool.h"
#include "proto/base/task.h"

namespace chordfs {

struct RealDiskOptions {
  std::size_t block_cache_bytes = 256U << 20;
  std::size_t memtable_bytes = 64U << 20;
  int read_threads = 2;
  int file_threads = 4;
};

class RealDisk final : public Disk {
 public:
  using Options = RealDiskOptions;
  static constexpr std::size_t kGroupBytesMax = 8U << 20;
  static constexpr std::size_t kPlansPerTurnMax = 64;

  /// Blocks until RocksDB has recovered and all files are counted: for start-up. Creates what is missing.
  /// Errors: busy (another process has it), io_error (no directory, not writable), disk_full, corrupt, and those of
  /// data_directory.h, before anything is touched.
  static Result<std::unique_ptr<RealDisk>> open(Runtime& runtime, std::filesystem::path directory,
                                                Options options = {});
  ~RealDisk() override;

  awaitable<Result<void>> commit(Batch batch, Sync sync) override;
  awaitable<Result<void>> update(std::move_only_function<Batch(const RecordView&)> plan) override;
  awaitable<Result<void>> read(std::move_only_function<void(const RecordView&)> look) override;
  bool try_read(const std::function<void(const RecordView&)>& look) override { return records_->look_in_memory(look); }
  std::shared_ptr<const RecordView> snapshot() override { return records_->snapshot(); }
  awaitable<Result<void>> read_at(std::shared_ptr<const RecordView> view,
                                  std::move_only_function<void(const RecordView&)> look) override;
  awaitable<Result<void>> put_file(std::string name, std::vector<Bytes> pieces) override;
  awaitable<Result<Bytes>> read_file(std::string name, std::uint64_t offset, std::size_t size) override;
  awaitable<Result<void>> erase_file(std::string name) override;
  awaitable<Result<std::vector<FileInfo>>> list_files() override;
  awaitable<Result<DiskSpace>> space() override;

 private:
  struct Commit {
    Batch batch;
    Sync sync;
    OneShot<Result<void>> done;
  };
  struct Update {
    std::move_only_function<Batch(const RecordView&)> plan;
    OneShot<Result<void>> done;
    Result<void> result;
  };

  RealDisk(Runtime& runtime, std::filesystem::path directory, Options options, DirectoryLock lock,
           std::unique_ptr<RecordEngine> records, std::unique_ptr<FileDirectory> files);

  void commit_thread();
  void plan_thread();
  std::vector<Commit> take_commits(std::unique_lock<std::mutex>& lock);
  std::vector<Update> take_updates(std::unique_lock<std::mutex>& lock);
  Result<void> run(Update& update);
  Result<DiskSpace> measure() const;
  template <class T>
  awaitable<Result<T>> submit(WorkerPool& pool, std::string key, std::move_only_function<Result<T>()> work);

  asio::any_io_executor executor_;
  std::filesystem::path directory_;
  DirectoryLock lock_;
  std::unique_ptr<RecordEngine> records_;
  std::unique_ptr<FileDirectory> files_;

  std::mutex mutex_;  ///< Over the four below.
  std::condition_variable commits_changed_, updates_changed_;
  std::deque<Commit> commits_;
  std::deque<Update> updates_;
  bool stopping_ = false;

  WorkerPool readers_, writers_;
  std::thread committer_, planner_;
};

}  // namespace chordfs
