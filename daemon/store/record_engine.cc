#include "daemon/store/record_engine.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "proto/base/check.h"

namespace chordfs {

namespace {

constexpr int kOpenFilesMax = 512;
constexpr int kBackgroundJobs = 2;
constexpr std::size_t kBlockBytes = 16U << 10;
constexpr std::size_t kLogFileBytesMax = 4U << 20;  // Of RocksDB's own LOG.

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view view(rocksdb::Slice slice) {
  return {slice.data(), slice.size()};
}

Error error_of(const rocksdb::Status& status) {
  auto code = Errc::io_error;
  if (status.IsNoSpace())
    code = Errc::disk_full;
  else if (status.IsCorruption())
    code = Errc::corrupt;
  return {code, "records: " + status.ToString()};
}

rocksdb::CompressionType first_supported(std::initializer_list<rocksdb::CompressionType> wanted) {
  auto supported = rocksdb::GetSupportedCompressions();
  for (auto type : wanted)
    if (std::ranges::find(supported, type) != supported.end()) return type;
  return rocksdb::kNoCompression;
}

rocksdb::Options options_for(RecordEngine::Limits limits) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(limits.block_cache_bytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;  // So that the cache bounds all memory.
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.block_size = kBlockBytes;
  table.format_version = 5;

  rocksdb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;  // A crash keeps a prefix.
  options.write_buffer_size = limits.memtable_bytes;
  options.max_write_buffer_number = 3;
  options.max_open_files = kOpenFilesMax;
  options.max_background_jobs = kBackgroundJobs;
  options.bytes_per_sync = 1U << 20;  // Table files reach the disk evenly: no long sync in the way of the log's.
  options.level_compaction_dynamic_level_bytes = true;
  options.compression = first_supported({rocksdb::kLZ4Compression, rocksdb::kSnappyCompression});
  options.bottommost_compression = first_supported({rocksdb::kZSTD, rocksdb::kLZ4Compression});
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.max_log_file_size = kLogFileBytesMax;
  options.keep_log_file_num = 3;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

/// One moment's records, read once: notes the first failure, which RecordView has no words for.
class View final : public RecordView {
 public:
  View(rocksdb::DB& db, const rocksdb::Snapshot* snapshot, rocksdb::ReadTier tier = rocksdb::kReadAllTier) : db_(db) {
    options_.snapshot = snapshot;
    options_.read_tier = tier;
  }

  std::optional<std::string> get(std::string_view key) const override {
    std::string value;
    auto status = db_.Get(options_, db_.DefaultColumnFamily(), slice(key), &value);
    if (status.ok()) return value;
    note(status);
    return std::nullopt;
  }

  void scan(std::string_view from, std::string_view to,
            const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    auto options = options_;
    auto bound = slice(to);
    if (!to.empty()) options.iterate_upper_bound = &bound;
    std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(options));
    for (at->Seek(slice(from)); at->Valid(); at->Next())
      if (!visit(view(at->key()), view(at->value()))) break;
    note(at->status());
  }

  Result<void> result() const {
    if (failure_.ok()) return {};
    return error_of(failure_);
  }

 private:
  void note(const rocksdb::Status& status) const {
    if (failure_.ok() && !status.ok() && !status.IsNotFound()) failure_ = status;
  }

  rocksdb::DB& db_;
  rocksdb::ReadOptions options_;
  mutable rocksdb::Status failure_;
};

class Snapshot final : public RecordView {
 public:
  explicit Snapshot(std::shared_ptr<rocksdb::DB> db) : db_(std::move(db)), snapshot_(db_->GetSnapshot()) {}
  ~Snapshot() override { db_->ReleaseSnapshot(snapshot_); }
  Snapshot(const Snapshot&) = delete;

  View view(rocksdb::ReadTier tier = rocksdb::kReadAllTier) const { return {*db_, snapshot_, tier}; }
  std::optional<std::string> get(std::string_view key) const override { return view().get(key); }
  void scan(std::string_view from, std::string_view to,
            const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    view().scan(from, to, visit);
  }

 private:
  std::shared_ptr<rocksdb::DB> db_;
  const rocksdb::Snapshot* snapshot_;
};

void append(rocksdb::WriteBatch& to, const Batch& batch) {
  static const std::string kEnd(kKeyBytesMax, '\xff');
  for (const auto& range : batch.erased)
    if (range.to.empty() || range.from < range.to) to.DeleteRange(range.from, range.to.empty() ? kEnd : range.to);
  for (const auto& change : batch.changes) {
    CHECK(change.key.size() < kKeyBytesMax, "key of {} bytes", change.key.size());
    change.value ? to.Put(change.key, *change.value) : to.Delete(change.key);
  }
}

}  // namespace

/// Tells when RocksDB has begun a new log file.
class RecordEngine::SealListener final : public rocksdb::EventListener {
 public:
  void OnMemTableSealed(const rocksdb::MemTableInfo&) override { sealed_ = true; }
  bool take() { return sealed_.exchange(false); }

 private:
  std::atomic<bool> sealed_ = false;
};

RecordEngine::RecordEngine(std::shared_ptr<rocksdb::DB> db, std::shared_ptr<SealListener> listener,
                           std::unique_ptr<SyncMark> mark)
    : db_(std::move(db)), listener_(std::move(listener)), mark_(std::move(mark)) {}

RecordEngine::~RecordEngine() = default;

namespace {

Error open_error(const std::filesystem::path& directory, const rocksdb::Status& status) {
  auto error = error_of(status);
  error.context = "open " + directory.string() + ": " + error.context;
  if (error.code == Errc::corrupt)
    error.context +=
        "; the disk has damaged this database: restore the data directory, or remove it to start as a new node";
  return error;
}

/// RocksDB's own LOG is for those who write.
class Silent final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

/// Without changing anything: a start for good would throw away what stands behind the damage.
Result<void> check_log(rocksdb::Options options, const std::filesystem::path& directory, std::uint64_t synced) {
  if (synced == 0) return {};
  options.info_log = std::make_shared<Silent>();
  rocksdb::DB* raw = nullptr;
  auto status = rocksdb::DB::OpenForReadOnly(options, directory.string(), &raw);
  std::unique_ptr<rocksdb::DB> db(raw);
  if (!status.ok()) return open_error(directory, status);
  if (auto found = db->GetLatestSequenceNumber(); found < synced)
    return {Errc::corrupt,
            fmt::format("the log in {} is damaged: it ends at change {}, but was synced up to change {}; "
                        "restore the data directory, or remove {}.synced to go on without the rest",
                        directory.string(), found, synced, directory.string())};
  return {};
}

}  // namespace

Result<std::unique_ptr<RecordEngine>> RecordEngine::open(const std::filesystem::path& directory, Limits limits) {
  auto mark_path = directory.string() + ".synced";
  TRY(auto synced, SyncMark::look(mark_path));
  TRY_VOID(check_log(options_for(limits), directory, synced));
  auto listener = std::make_shared<SealListener>();
  auto options = options_for(limits);
  options.listeners.push_back(listener);
  rocksdb::DB* raw = nullptr;
  auto status = rocksdb::DB::Open(options, directory.string(), &raw);
  std::shared_ptr<rocksdb::DB> db(raw);
  if (!status.ok()) return open_error(directory, status);
  TRY(auto mark, SyncMark::open(mark_path));
  return std::unique_ptr<RecordEngine>(new RecordEngine(std::move(db), std::move(listener), std::move(mark)));
}

constexpr std::uint64_t kReserveMax = 256U << 20;

/// RocksDB is not let to run into a full disk: after a write that failed half way it may end the whole process. What
/// its tables and logs may need soon stays free, but of a small disk a quarter is enough.
Result<void> RecordEngine::check_room(std::uint64_t bytes) const {
  struct statvfs disk{};
  if (::statvfs(db_->GetName().c_str(), &disk) != 0) return {};
  const std::uint64_t free = disk.f_bavail * disk.f_frsize, total = disk.f_blocks * disk.f_frsize;
  const auto reserve = std::min(kReserveMax, total / 4);
  if (free >= reserve + bytes) return {};
  return Error{Errc::disk_full, fmt::format("{} has {} bytes free, and {} are kept for the database itself",
                                            db_->GetName(), free, reserve)};
}

Result<void> RecordEngine::write(std::span<const Batch* const> batches, Sync sync) {
  {
    std::lock_guard lock(mutex_);
    if (failure_) return *failure_;
  }
  rocksdb::WriteBatch all;
  for (const auto* batch : batches) append(all, *batch);
  if (all.Count() == 0) return sync == Sync::yes ? sync_log() : Result<void>();
  TRY_VOID(check_room(all.GetDataSize()));
  rocksdb::WriteOptions options;
  options.sync = sync == Sync::yes;
  // Others may write meanwhile: at least so many changes are before the end of this batch, whoever made them.
  auto reached = db_->GetLatestSequenceNumber() + all.Count();
  TRY_VOID(checked(db_->Write(options, &all)));
  if (sync == Sync::yes) mark_->advance(reached);
  // A new log file was begun while the last one was not synced: a power loss could keep the new and cut the old, a hole
  // that recovery does not see. A synced write has synced both.
  if (listener_->take() && sync == Sync::no) return sync_log();
  return {};
}

Result<void> RecordEngine::sync_log() {
  auto reached = db_->GetLatestSequenceNumber();
  TRY_VOID(checked(db_->SyncWAL()));
  mark_->advance(reached);
  return {};
}

Result<void> RecordEngine::checked(const rocksdb::Status& status) {
  if (status.ok()) return {};
  auto error = error_of(status);
  std::lock_guard lock(mutex_);
  if (error.code == Errc::io_error && !failure_) failure_ = error;
  return error;
}

Result<void> RecordEngine::look(Look& look) const {
  return look_at(*snapshot(), look);
}

bool RecordEngine::look_in_memory(const std::function<void(const RecordView&)>& look) const {
  Snapshot now(db_);
  auto view = now.view(rocksdb::kBlockCacheTier);
  look(view);
  return view.result().has_value();  // Incomplete, or broken: either way the thread that may wait finds out.
}

std::shared_ptr<const RecordView> RecordEngine::snapshot() const {
  return std::make_shared<Snapshot>(db_);
}

Result<void> RecordEngine::look_at(const RecordView& snapshot, Look& look) const {
  const auto* own = dynamic_cast<const Snapshot*>(&snapshot);
  CHECK(own, "a view of another disk");
  auto view = own->view();
  look(view);
  return view.result();
}

std::uint64_t RecordEngine::bytes() const {
  std::uint64_t tables = 0, memory = 0;
  db_->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &tables);
  db_->GetIntProperty(rocksdb::DB::Properties::kSizeAllMemTables, &memory);
  return tables + memory;
}

}  // namespace chordfs
