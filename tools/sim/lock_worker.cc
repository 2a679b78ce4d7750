#include "tools/sim/lock_worker.h"

#include <fmt/format.h>

#include <algorithm>

namespace chordfs {

namespace {
constexpr std::uint64_t kLockEnd = (std::uint64_t{1} << 63) - 1;
constexpr Duration kPatienceMax = 2s;
constexpr Duration kHoldMax = 50ms;

/// Ends of waiting that are as they should be.
bool is_expected(Errc code) {
  return code == Errc::would_block || code == Errc::deadlock || code == Errc::interrupted;
}
}  // namespace

Result<std::uint64_t> Workload::Counter::parse(std::string_view bytes) {
  std::uint64_t value = 0;
  if (!bytes.empty() && bytes.size() != kDigits) return Error{Errc::corrupt, std::string(bytes)};
  for (char digit : bytes) {
    // What was never written is a hole.
    if (digit == '\0') digit = '0';
    if (digit < '0' || digit > '9') return Error{Errc::corrupt, std::string(bytes)};
    value = value * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return value;
}

std::string Workload::Counter::text(std::uint64_t value) {
  return fmt::format("{:020}", value);
}

Workload::LockWorker::LockWorker(Workload& load, Runtime& runtime, FileSystem& files, std::uint32_t number)
    : load_(load),
      runtime_(runtime),
      files_(files),
      owner_(number + 1),
      rng_(Rng::derived(load.ring_.options().seed, "lock worker", number)) {}

awaitable<void> Workload::LockWorker::run() {
  while (!load_.stopping_) {
    co_await runtime_.sleep(runtime_.jitter(6 * load_.options_.think, 0.9));
    co_await add();
  }
}

wire::FileLock Workload::LockWorker::whole(wire::FileLock::Type type) const {
  wire::FileLock lock;
  lock.set_type(type);
  lock.set_owner(owner_);
  lock.set_end(kLockEnd);
  return lock;
}

awaitable<bool> Workload::LockWorker::lock(Handle handle) {
  std::shared_ptr<Interruption> interruption;
  if (rng_.chance(0.8)) {
    interruption = std::make_shared<Interruption>();
    if (rng_.chance(0.3))
      runtime_.schedule(runtime_.now() + rng_.between({}, kPatienceMax), [interruption] { interruption->request(); });
  }
  auto locked = co_await files_.lock(handle, whole(wire::FileLock::EXCLUSIVE), interruption);
  if (is_expected(locked.code())) co_return false;
  co_return load_.judge("lock", locked);
}

awaitable<Result<void>> Workload::LockWorker::unlock(Handle handle) {
  if (rng_.chance(0.2)) co_return co_await files_.close(handle, owner_);
  CO_TRY_VOID(co_await files_.lock(handle, whole(wire::FileLock::NONE), nullptr));
  co_return Result<void>();
}

awaitable<void> Workload::LockWorker::add_under_lock(std::size_t which, Handle handle) {
  auto& counter = load_.counters_[which];
  const auto certain = counter.added;
  auto bytes = co_await files_.read(handle, counter.offset, Counter::kDigits);
  if (!load_.judge("read a counter", bytes)) co_return;
  auto value = Counter::parse(bytes->view());
  if (!value) co_return load_.ring_.violation(fmt::format("counter {} is torn: {}", which, value.error().context));
  if (*value < certain || *value > counter.added + counter.in_doubt)
    load_.ring_.violation(fmt::format("I25: counter {} is {} under a lock; {} was acknowledged, {} in doubt", which,
                                      *value, certain, counter.in_doubt));
  if (rng_.chance(0.3)) co_await runtime_.sleep(rng_.between({}, kHoldMax));
  ++counter.in_doubt;
  auto written = co_await files_.write(handle, counter.offset, Bytes::take(Counter::text(*value + 1)));
  if (!load_.judge("write a counter", written)) co_return;
  auto unlocked = co_await unlock(handle);
  if (!load_.judge("unlock", unlocked)) co_return;
  --counter.in_doubt;
  ++counter.added;
}

awaitable<void> Workload::LockWorker::add() {
  std::vector<std::size_t> wanted{rng_.below(load_.counters_.size())};
  if (rng_.chance(0.3)) wanted.push_back(load_.counters_.size() - 1 - wanted[0]);
  std::vector<Handle> handles;
  bool all = true;
  for (auto which : wanted) {
    auto opened = co_await files_.open(load_.counters_[which].ino, false);
    if (!load_.judge("open a counter", opened)) {
      all = false;
      break;
    }
    handles.push_back(opened->handle);
    if (!co_await lock(opened->handle)) {
      all = false;
      break;
    }
  }
  for (std::size_t i = 0; all && i < handles.size(); ++i) co_await add_under_lock(wanted[i], handles[i]);
  for (auto handle : handles) {
    std::ignore = co_await files_.close(handle, owner_);
    co_await files_.release(handle);
  }
}

}  // namespace chordfs
