#include "daemon/store/real_disk.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <boost/asio/post.hpp>
#include <cerrno>

#include "daemon/store/data_directory.h"
#include "daemon/store/file_name.h"

namespace chordfs {

namespace {

Error closing() {
  return {Errc::cancelled, "the disk is closing"};
}

/// By value: the OneShot lives in the coroutine.
template <class T>
awaitable<Result<T>> finish(OneShot<Result<T>> done) {
  co_return co_await done.wait();
}

std::size_t size_of(const Batch& batch) {
  std::size_t size = 0;
  for (const auto& range : batch.erased) size += range.from.size() + range.to.size();
  for (const auto& change : batch.changes) size += change.key.size() + (change.value ? change.value->size() : 0);
  return size;
}

Result<void> make_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return os_error(error.value(), "create data directory " + path.string());
  return {};
}

}  // namespace

Result<std::unique_ptr<RealDisk>> RealDisk::open(Runtime& runtime, std::filesystem::path directory, Options options) {
  TRY(auto state, look_at_data_directory(directory));
  TRY_VOID(make_directory(directory));
  TRY(auto lock, DirectoryLock::take(directory));
  TRY_VOID(make_directory(directory / "records"));
  TRY_VOID(make_directory(directory / "blocks"));
  TRY(auto records, RecordEngine::open(directory / "records", {options.block_cache_bytes, options.memtable_bytes}));
  TRY(auto files, FileDirectory::open(directory / "blocks"));
  if (state != DirectoryState::marked) TRY_VOID(mark_data_directory(directory));
  return std::unique_ptr<RealDisk>(
      new RealDisk(runtime, std::move(directory), options, std::move(lock), std::move(records), std::move(files)));
}

RealDisk::RealDisk(Runtime& runtime, std::filesystem::path directory, Options options, DirectoryLock lock,
                   std::unique_ptr<RecordEngine> records, std::unique_ptr<FileDirectory> files)
    : executor_(runtime.executor()),
      directory_(std::move(directory)),
      lock_(std::move(lock)),
      records_(std::move(records)),
      files_(std::move(files)),
      readers_(options.read_threads),
      writers_(options.file_threads),
      committer_([this] { commit_thread(); }),
      planner_([this] { plan_thread(); }) {}

RealDisk::~RealDisk() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  commits_changed_.notify_all();
  updates_changed_.notify_all();
  committer_.join();
  planner_.join();
  for (auto& commit : commits_) commit.done.set(closing());
  for (auto& update : updates_) update.done.set(closing());
  readers_.stop();
  writers_.stop();
}

// ---- Commits ----

awaitable<Result<void>> RealDisk::commit(Batch batch, Sync sync) {
  OneShot<Result<void>> done;
  {
    std::lock_guard lock(mutex_);
    commits_.push_back({std::move(batch), sync, done});
  }
  commits_changed_.notify_one();
  return finish(std::move(done));
}

std::vector<RealDisk::Commit> RealDisk::take_commits(std::unique_lock<std::mutex>& lock) {
  commits_changed_.wait(lock, [this] { return stopping_ || !commits_.empty(); });
  std::vector<Commit> group;
  if (stopping_) return group;
  for (std::size_t size = 0; !commits_.empty() && size < kGroupBytesMax; commits_.pop_front()) {
    size += size_of(commits_.front().batch);
    group.push_back(std::move(commits_.front()));
  }
  return group;
}

void RealDisk::commit_thread() {
  std::unique_lock lock(mutex_);
  while (true) {
    auto group = take_commits(lock);
    if (group.empty()) return;
    lock.unlock();
    std::vector<const Batch*> batches;
    auto sync = Sync::no;
    for (const auto& commit : group) {
      batches.push_back(&commit.batch);
      if (commit.sync == Sync::yes) sync = Sync::yes;
    }
    auto result = records_->write(batches, sync);
    asio::post(executor_, [group = std::move(group), result = std::move(result)] {
      for (const auto& commit : group) commit.done.set(result);
    });
    lock.lock();
  }
}

// ---- Updates ----

awaitable<Result<void>> RealDisk::update(std::move_only_function<Batch(const RecordView&)> plan) {
  OneShot<Result<void>> done;
  {
    std::lock_guard lock(mutex_);
    updates_.push_back({std::move(plan), done, {}});
  }
  updates_changed_.notify_one();
  return finish(std::move(done));
}

std::vector<RealDisk::Update> RealDisk::take_updates(std::unique_lock<std::mutex>& lock) {
  updates_changed_.wait(lock, [this] { return stopping_ || !updates_.empty(); });
  std::vector<Update> turn;
  if (stopping_) return turn;
  for (; !updates_.empty() && turn.size() < kPlansPerTurnMax; updates_.pop_front())
    turn.push_back(std::move(updates_.front()));
  return turn;
}

Result<void> RealDisk::run(Update& update) {
  Batch batch;
  RecordEngine::Look look = [&](const RecordView& view) { batch = update.plan(view); };
  TRY_VOID(records_->look(look));  // Nothing is written on the ground of records that could not be read.
  const Batch* all[] = {&batch};
  return records_->write(all, Sync::no);
}

void RealDisk::plan_thread() {
  std::unique_lock lock(mutex_);
  while (true) {
    auto turn = take_updates(lock);
    if (turn.empty()) return;
    lock.unlock();
    for (auto& update : turn) update.result = run(update);
    asio::post(executor_, [turn = std::move(turn)]() mutable {
      for (auto& update : turn) update.done.set(std::move(update.result));
    });
    lock.lock();
  }
}

// ---- Everything else: one job of a pool each ----

template <class T>
awaitable<Result<T>> RealDisk::submit(WorkerPool& pool, std::string key, std::move_only_function<Result<T>()> work) {
  OneShot<Result<T>> done;
  auto run = [executor = executor_, done, work = std::move(work)]() mutable {
    auto result = work();
    // The work goes back too: what it captured ends on the thread where it began.
    asio::post(executor, [done = std::move(done), result = std::move(result), work = std::move(work)]() mutable {
      done.set(std::move(result));
    });
  };
  pool.add({std::move(key), std::move(run), [done] { done.set(closing()); }});
  return finish(std::move(done));
}

awaitable<Result<void>> RealDisk::read(std::move_only_function<void(const RecordView&)> look) {
  return submit<void>(readers_, "", [this, look = std::move(look)]() mutable { return records_->look(look); });
}

awaitable<Result<void>> RealDisk::read_at(std::shared_ptr<const RecordView> view,
                                          std::move_only_function<void(const RecordView&)> look) {
  return submit<void>(readers_, "", [this, view = std::move(view), look = std::move(look)]() mutable {
    return records_->look_at(*view, look);
  });
}

awaitable<Result<void>> RealDisk::put_file(std::string name, std::vector<Bytes> pieces) {
  check_file_name(name);
  return submit<void>(writers_, name, [this, name, pieces = std::move(pieces)] { return files_->put(name, pieces); });
}

awaitable<Result<Bytes>> RealDisk::read_file(std::string name, std::uint64_t offset, std::size_t size) {
  check_file_name(name);
  return submit<Bytes>(readers_, "",
                       [this, name = std::move(name), offset, size] { return files_->read(name, offset, size); });
}

awaitable<Result<void>> RealDisk::erase_file(std::string name) {
  check_file_name(name);
  return submit<void>(writers_, name, [this, name] { return files_->erase(name); });
}

awaitable<Result<std::vector<FileInfo>>> RealDisk::list_files() {
  return submit<std::vector<FileInfo>>(readers_, "", [this] { return files_->list(); });
}

awaitable<Result<DiskSpace>> RealDisk::space() {
  return submit<DiskSpace>(readers_, "", [this] { return measure(); });
}

Result<DiskSpace> RealDisk::measure() const {
  struct statvfs status{};
  if (::statvfs(directory_.c_str(), &status) != 0) return os_error(errno, "statvfs " + directory_.string());
  auto unit = static_cast<std::uint64_t>(status.f_frsize);
  return DiskSpace{status.f_blocks * unit, status.f_bavail * unit, records_->bytes() + files_->bytes()};
}

}  // namespace chordfs
