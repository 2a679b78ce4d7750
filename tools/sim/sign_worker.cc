#include "tools/sim/sign_worker.h"

#include <fmt/format.h>

#include <algorithm>

namespace chordfs {

namespace {
const std::string kTimeKey = "time";
const std::string kFlagKey = "flag";
const std::string kUp = "up";
constexpr std::int64_t kTimesPerMount = 1'000'000;
}  // namespace

Workload::SignWorker::SignWorker(Workload& load, Runtime& runtime, FileSystem& files, std::uint32_t number)
    : Timed(load),
      runtime_(runtime),
      files_(files),
      number_(number),
      rng_(Rng::derived(load.ring_.options().seed, "sign worker", number)) {}

awaitable<void> Workload::SignWorker::run() {
  while (!load_.stopping_) {
    co_await runtime_.sleep(runtime_.jitter(3 * load_.options_.think, 0.9));
    // Often the same question again and again: the first answer is to be given from memory.
    const auto looks = 1 + rng_.below(6);
    const bool flag = rng_.chance(0.5);
    for (std::uint64_t i = 0; i < looks && !load_.stopping_; ++i) {
      begin();
      co_await (flag ? look() : read_time());
      if (rng_.chance(0.5)) co_await runtime_.sleep(runtime_.jitter(20ms, 0.9));
    }
    if (!rng_.chance(0.6)) continue;
    begin();
    co_await (!flag ? set_time() : rng_.chance(0.5) ? hoist() : lower());
  }
}

awaitable<void> Workload::SignWorker::set_time() {
  const auto time = (number_ + 1) * kTimesPerMount + ++times_;
  auto id = load_.history_.invoke(
      load_.ring_.world().now(),
      {.client = number_, .kind = RegisterOperation::Kind::write, .key = kTimeKey, .value = std::to_string(time)});
  SetAttributes set;
  set.mtime = time;
  auto done = co_await files_.set_attributes(load_.sign_, set);
  if (judge("set a time", done)) load_.history_.returned(load_.ring_.world().now(), id);
}

awaitable<void> Workload::SignWorker::read_time() {
  auto id = load_.history_.invoke(load_.ring_.world().now(),
                                  {.client = number_, .kind = RegisterOperation::Kind::read, .key = kTimeKey});
  auto attr = co_await files_.get_attributes(load_.sign_);
  if (!judge("read a time", attr)) co_return load_.history_.forget(id);
  const auto time = attr->mtime();
  load_.history_.returned_read(load_.ring_.world().now(), id, time == kSignTime ? "" : std::to_string(time));
}

awaitable<void> Workload::SignWorker::hoist() {
  auto id = load_.history_.invoke(
      load_.ring_.world().now(),
      {.client = number_, .kind = RegisterOperation::Kind::cas, .key = kFlagKey, .value = kUp, .expected = ""});
  auto done = co_await files_.link(load_.sign_, load_.signs_, std::string(kName));
  if (done.code() == Errc::exists) co_return load_.history_.returned_cas(load_.ring_.world().now(), id, false);
  if (judge("hoist the flag", done)) load_.history_.returned_cas(load_.ring_.world().now(), id, true);
}

awaitable<void> Workload::SignWorker::lower() {
  auto id = load_.history_.invoke(
      load_.ring_.world().now(),
      {.client = number_, .kind = RegisterOperation::Kind::cas, .key = kFlagKey, .value = "", .expected = kUp});
  auto done = co_await files_.unlink(load_.signs_, std::string(kName));
  if (done.code() == Errc::not_found) co_return load_.history_.returned_cas(load_.ring_.world().now(), id, false);
  if (judge("lower the flag", done)) load_.history_.returned_cas(load_.ring_.world().now(), id, true);
}

awaitable<void> Workload::SignWorker::look() {
  auto id = load_.history_.invoke(load_.ring_.world().now(),
                                  {.client = number_, .kind = RegisterOperation::Kind::read, .key = kFlagKey});
  bool up = false;
  if (rng_.chance(0.7)) {
    auto found = co_await files_.lookup(load_.signs_, std::string(kName));
    up = found.has_value();
    if (found.code() != Errc::not_found && !judge("look for the flag", found)) co_return load_.history_.forget(id);
  } else {
    auto listed = co_await files_.read_directory(load_.signs_, 0, 10, rng_.chance(0.5));
    if (!judge("list the flag", listed)) co_return load_.history_.forget(id);
    up = std::ranges::any_of(*listed, [](const DirectoryEntry& entry) { return entry.name == kName; });
  }
  load_.history_.returned_read(load_.ring_.world().now(), id, up ? kUp : "");
}

}  // namespace chordfs
