#include "tools/sim/disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>

#include "daemon/store/file_name.h"
#include "proto/base/task.h"
#include "tools/sim/platter.h"

namespace chordfs {

namespace {

std::uint64_t bytes_put(const Batch& batch) {
  std::uint64_t bytes = 0;
  for (const auto& change : batch.changes)
    if (change.value) bytes += change.key.size() + change.value->size();
  return bytes;
}

Error dead() {
  return {Errc::cancelled, "the disk is closing"};
}

template <class T>
awaitable<Result<T>> finish(OneShot<Result<T>> done) {
  co_return co_await done.wait();
}

}  // namespace

// ---- One incarnation's handle ----

class SimDisk::Handle final : public Disk {
 public:
  Handle(std::shared_ptr<Platter> platter, Runtime& runtime) : platter_(std::move(platter)), runtime_(runtime) {}
  ~Handle() override { crash(Crash::process_kill); }

  void crash(Crash kind) {
    if (platter_->handle != this) return;
    std::vector<Batch> running;
    for (auto& commit : group_) running.push_back(std::move(commit.batch));
    std::vector<std::pair<std::string, Bytes>> puts;
    for (auto& [number, operation] : operations_)
      if (operation.put) puts.push_back(std::move(*operation.put));
    platter_->handle = nullptr;
    platter_->crash(kind, std::move(running), std::move(puts));
    cancel_all();
  }

  awaitable<Result<void>> commit(Batch batch, Sync sync) override {
    OneShot<Result<void>> done;
    if (!alive()) return refused(std::move(done));
    commits_.push_back({std::move(batch), sync, done});
    if (group_.empty()) start_group();
    return finish(std::move(done));
  }

  awaitable<Result<void>> update(std::move_only_function<Batch(const RecordView&)> plan) override {
    // One after the other: the next begins when this has taken effect.
    auto when = std::max(after(platter_->options.latency.update), last_update_);
    last_update_ = when;
    return start<void>(when, [this, plan = std::move(plan)]() mutable -> Result<void> {
      auto batch = plan(MapView(platter_->current.share()));
      std::vector<Batch> batches;
      batches.push_back(std::move(batch));
      return write(DiskOperation::update, std::move(batches));
    });
  }

  awaitable<Result<void>> read(std::move_only_function<void(const RecordView&)> look) override {
    return start<void>(after(platter_->options.latency.read), [this, look = std::move(look)]() mutable -> Result<void> {
      if (auto error = platter_->fault(DiskOperation::read)) return *error;
      look(MapView(platter_->current.share()));
      return {};
    });
  }

  std::shared_ptr<const RecordView> snapshot() override { return std::make_shared<MapView>(platter_->current.share()); }

  awaitable<Result<void>> read_at(std::shared_ptr<const RecordView> view,
                                  std::move_only_function<void(const RecordView&)> look) override {
    return start<void>(after(platter_->options.latency.read),
                       [this, view = std::move(view), look = std::move(look)]() mutable -> Result<void> {
                         if (auto error = platter_->fault(DiskOperation::read)) return *error;
                         look(*view);
                         return {};
                       });
  }

  awaitable<Result<void>> put_file(std::string name, std::vector<Bytes> pieces) override {
    check_file_name(name);
    std::string whole;
    std::size_t bytes = 0;
    for (const auto& piece : pieces) bytes += piece.size();
    whole.reserve(bytes);
    for (const auto& piece : pieces) whole += piece.view();
    auto contents = Bytes::take(std::move(whole));
    auto when = after(platter_->options.latency.put_file, name);
    return start<void>(
        when,
        [this, name, contents]() -> Result<void> {
          if (auto error = platter_->fault(DiskOperation::put_file)) return *error;
          if (auto error = platter_->refuse(contents.size())) return *error;
          platter_->put(name, contents);
          return {};
        },
        std::pair(name, contents));
  }

  awaitable<Result<Bytes>> read_file(std::string name, std::uint64_t offset, std::size_t size) override {
    check_file_name(name);
    return start<Bytes>(after(platter_->options.latency.read_file), [this, name, offset, size]() -> Result<Bytes> {
      if (auto error = platter_->fault(DiskOperation::read_file)) return *error;
      auto at = platter_->files.find(name);
      if (at == platter_->files.end()) return {Errc::no_block, name};
      return at->second.slice(offset, size);
    });
  }

  awaitable<Result<void>> erase_file(std::string name) override {
    check_file_name(name);
    auto when = after(platter_->options.latency.erase_file, name);
    return start<void>(when, [this, name]() -> Result<void> {
      if (auto error = platter_->fault(DiskOperation::erase_file)) return *error;
      platter_->erase(name);
      return {};
    });
  }

  awaitable<Result<std::vector<FileInfo>>> list_files() override {
    return start<std::vector<FileInfo>>(after(platter_->options.latency.list_files),
                                        [this]() -> Result<std::vector<FileInfo>> {
                                          if (auto error = platter_->fault(DiskOperation::list_files)) return *error;
                                          std::vector<FileInfo> files;
                                          for (const auto& [name, contents] : platter_->files)
                                            files.push_back({name, contents.size()});
                                          return files;
                                        });
  }

  awaitable<Result<DiskSpace>> space() override {
    return start<DiskSpace>(after(platter_->options.latency.read), [this]() -> Result<DiskSpace> {
      auto total = platter_->options.capacity_bytes, used = platter_->used();
      return DiskSpace{total, total - std::min(total, used), used};
    });
  }

 private:
  struct Commit {
    Batch batch;
    Sync sync;
    OneShot<Result<void>> done;
  };
  struct Operation {
    Runtime::TimerId timer = 0;
    std::move_only_function<void()> cancel;
    std::optional<std::pair<std::string, Bytes>> put;  ///< A file that is being written.
  };

  bool alive() const { return platter_->handle == this; }

  template <class T>
  awaitable<Result<T>> refused(OneShot<Result<T>> done) {
    done.set(dead());
    return finish(std::move(done));
  }

  Time after(Duration latency) { return runtime_.now() + platter_->world.jitter(latency, 0.5); }
  /// Changes of one file keep their order: equal times fire in order of scheduling.
  Time after(Duration latency, const std::string& name) {
    auto& last = last_change_[name];
    last = std::max(last, after(latency));
    return last;
  }

  /// `effect` happens at `when`; its result is handed over a little later.
  template <class T>
  awaitable<Result<T>> start(Time when, std::move_only_function<Result<T>()> effect,
                             std::optional<std::pair<std::string, Bytes>> put = std::nullopt) {
    OneShot<Result<T>> done;
    if (!alive()) return refused(std::move(done));
    auto number = next_operation_++;
    auto& operation = operations_[number];
    operation.put = std::move(put);
    operation.cancel = [done] { done.set(dead()); };
    operation.timer = runtime_.schedule(when, [this, number, done, effect = std::move(effect)]() mutable {
      auto result = effect();
      acknowledge(number, [done, result = std::move(result)]() mutable { done.set(std::move(result)); });
    });
    return finish(std::move(done));
  }

  void acknowledge(std::uint64_t number, std::move_only_function<void()> set) {
    auto& operation = operations_[number];
    if (operation.put) forget_change(operation.put->first);
    operation.put.reset();
    operation.timer = runtime_.schedule(runtime_.now() + platter_->options.latency.acknowledge,
                                        [this, number, set = std::move(set)]() mutable {
                                          operations_.erase(number);
                                          set();
                                        });
  }
  void forget_change(const std::string& name) {
    if (auto at = last_change_.find(name); at != last_change_.end() && at->second <= runtime_.now())
      last_change_.erase(at);
  }

  /// Applies the batches, or none and says why not; an io_error is final for this handle.
  Result<void> write(DiskOperation operation, std::vector<Batch> batches) {
    if (failure_) return *failure_;
    std::uint64_t more = 0;
    for (const auto& batch : batches) more += bytes_put(batch);
    auto error = platter_->fault(operation);
    if (!error) error = platter_->refuse(more);
    for (auto& batch : batches) {
      if (!error)
        platter_->apply(std::move(batch));
      else if (error->code == Errc::io_error)
        platter_->doubt(std::move(batch));
    }
    if (!error) return {};
    if (error->code == Errc::io_error) failure_ = *error;
    return *error;
  }

  void start_group() {
    group_.assign(std::move_iterator(commits_.begin()), std::move_iterator(commits_.end()));
    commits_.clear();
    if (group_.empty()) return;
    bool sync = std::ranges::any_of(group_, [](const Commit& commit) { return commit.sync == Sync::yes; });
    const auto& latency = platter_->options.latency;
    auto number = next_operation_++;
    operations_[number].timer = runtime_.schedule(after(sync ? latency.sync : latency.commit),
                                                  [this, number, sync] { end_group(number, sync); });
  }

  void end_group(std::uint64_t number, bool sync) {
    auto group = std::exchange(group_, {});
    std::vector<Batch> batches;
    for (auto& commit : group) batches.push_back(std::move(commit.batch));
    auto result = write(DiskOperation::commit, std::move(batches));
    if (result && sync) platter_->sync();
    auto& operation = operations_[number];
    operation.cancel = [group] {
      for (const auto& commit : group) commit.done.set(dead());
    };
    acknowledge(number, [group = std::move(group), result] {
      for (const auto& commit : group) commit.done.set(result);
    });
    start_group();
  }

  void cancel_all() {
    for (const auto& commit : std::exchange(group_, {})) commit.done.set(dead());
    for (const auto& commit : std::exchange(commits_, {})) commit.done.set(dead());
    for (auto& [number, operation] : std::exchange(operations_, {})) {
      runtime_.cancel(operation.timer);
      if (operation.cancel) operation.cancel();
    }
  }

  std::shared_ptr<Platter> platter_;
  Runtime& runtime_;
  std::vector<Commit> group_;   ///< Being written.
  std::deque<Commit> commits_;  ///< Waiting for the next group.
  std::map<std::uint64_t, Operation> operations_;
  std::uint64_t next_operation_ = 0;
  Time last_update_{};
  std::map<std::string, Time> last_change_;  ///< Of files: when the change called last takes effect.
  std::optional<Error> failure_;
};

// ---- SimDisk ----

SimDisk::SimDisk(Runtime& world, Options options) : platter_(std::make_shared<Platter>(world, options)) {}
SimDisk::~SimDisk() = default;

std::unique_ptr<Disk> SimDisk::open(Runtime& runtime) {
  crash(Crash::process_kill);
  platter_->sync();  // As RocksDB does: what recovery finds goes into synced tables.
  auto handle = std::make_unique<Handle>(platter_, runtime);
  handle_ = handle.get();
  platter_->handle = handle_;
  return handle;
}

void SimDisk::crash(Crash kind) {
  if (platter_->handle)
    handle_->crash(kind);
  else
    platter_->crash(kind, {}, {});
}

void SimDisk::wipe() {
  crash(Crash::process_kill);
  platter_ = std::make_shared<Platter>(platter_->world, platter_->options);
}

void SimDisk::wipe_all_but(const std::string& from, const std::string& to) {
  Batch kept;
  durable()->scan(from, to, [&](std::string_view key, std::string_view value) {
    kept.put(std::string(key), std::string(value));
    return true;
  });
  wipe();
  platter_->apply(std::move(kept));
  platter_->sync();
}

SimDisk::Options& SimDisk::options() {
  return platter_->options;
}

void SimDisk::fail_next(DiskOperation operation, Errc code) {
  platter_->next_fault[static_cast<std::size_t>(operation)] = code;
}

bool SimDisk::flip_record(const std::string& key) {
  auto chance = platter_->world.random();
  platter_->durable.flip(key, chance);
  return platter_->current.flip(key, chance);
}

bool SimDisk::flip_any_record() {
  auto records = platter_->current.share();
  if (records->empty()) return false;
  auto at = records->begin();
  std::advance(at, platter_->world.below(records->size()));
  auto key = at->first;
  records.reset();
  return flip_record(key);
}

bool SimDisk::flip_file(const std::string& name, std::uint64_t offset) {
  auto at = platter_->files.find(name);
  if (at == platter_->files.end() || offset >= at->second.size()) return false;
  std::string contents(at->second.view());
  contents[offset] ^= static_cast<char>(1 << platter_->world.below(8));
  at->second = Bytes::take(std::move(contents));
  return true;
}

bool SimDisk::flip_any_file() {
  if (platter_->files.empty()) return false;
  auto at = platter_->files.begin();
  std::advance(at, platter_->world.below(platter_->files.size()));
  if (at->second.empty()) return false;
  return flip_file(std::string(at->first), platter_->world.below(at->second.size()));
}

void SimDisk::set_file(const std::string& name, Bytes contents) {
  platter_->put(name, std::move(contents));
}

std::shared_ptr<const RecordView> SimDisk::durable() const {
  return std::make_shared<MapView>(platter_->durable.share());
}

std::shared_ptr<const RecordView> SimDisk::visible() const {
  return std::make_shared<MapView>(platter_->current.share());
}

std::vector<FileInfo> SimDisk::files() const {
  std::vector<FileInfo> files;
  for (const auto& [name, contents] : platter_->files) files.push_back({name, contents.size()});
  return files;
}

bool SimDisk::has_file(const std::string& name) const {
  return platter_->files.contains(name);
}

Bytes SimDisk::file(const std::string& name) const {
  auto at = platter_->files.find(name);
  return at == platter_->files.end() ? Bytes() : at->second;
}

}  // namespace chordfs
