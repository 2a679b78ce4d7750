// Prints what this machine's disk gives through RealDisk: durable files and durable commits, one at a time and many.

#include <fmt/format.h>

#include <chrono>

#include "daemon/store/real_disk.h"
#include "tests/daemon/store/temporary_directory.h"
#include "tests/daemon/store/test_runtime.h"

namespace chordfs {

namespace {

double seconds_of(const std::function<void()>& work) {
  auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// `count` operations, `at_once` of them under way at any time.
void keep_running(TestRuntime& runtime, int count, int at_once,
                  const std::function<awaitable<Result<void>>(int)>& one) {
  std::deque<awaitable<Result<void>>> waiting;
  for (int i = 0; i < count; ++i) {
    waiting.push_back(one(i));
    if (static_cast<int>(waiting.size()) < at_once) continue;
    auto result = runtime.run(std::move(waiting.front()));
    CHECK(result, "{}", result.error().text());
    waiting.pop_front();
  }
  for (auto& each : waiting) CHECK(runtime.run(std::move(each)));
}

void bench_files(TestRuntime& runtime, Disk& disk, int at_once) {
  constexpr int kFiles = 300;
  auto block = Bytes::take(std::string(1U << 20, 'x'));
  auto seconds = seconds_of([&] {
    keep_running(runtime, kFiles, at_once,
                 [&](int i) { return disk.put_file(fmt::format("{:04x}", i * 2654435761U % 65536), {block}); });
  });
  fmt::print("put_file 1 MiB, {:3} at once: {:6.0f} MB/s, {:.2f} ms each\n", at_once, kFiles * 1.048576 / seconds,
             seconds * 1000 * at_once / kFiles);
}

void bench_commits(TestRuntime& runtime, Disk& disk, int at_once, Sync sync) {
  int count = sync == Sync::yes ? 500 + 100 * at_once : 50000;
  auto seconds = seconds_of([&] {
    keep_running(runtime, count, at_once, [&](int i) {
      Batch batch;
      batch.put(fmt::format("key{:08}", i), std::string(300, 'v'));
      return disk.commit(std::move(batch), sync);
    });
  });
  fmt::print("commit {}, {:3} at once: {:7.0f}/s, {:.3f} ms each\n", sync == Sync::yes ? "synced  " : "unsynced",
             at_once, count / seconds, seconds * 1000 * at_once / count);
}

void bench_updates(TestRuntime& runtime, Disk& disk) {
  constexpr int kUpdates = 30000;
  auto plan = [](const RecordView& view) {
    Batch batch;
    for (int i = 0; i < 3; ++i) batch.put(fmt::format("u{}", i), view.get(fmt::format("u{}", i)).value_or("x"));
    return batch;
  };
  auto seconds = seconds_of([&] { keep_running(runtime, kUpdates, 64, [&](int) { return disk.update(plan); }); });
  fmt::print("update 3 gets, 3 puts, 64 at once: {:.0f}/s\n", kUpdates / seconds);
}

void bench_range_erasures(TestRuntime& runtime, Disk& disk) {
  auto read = [&] {
    return seconds_of([&] {
      keep_running(runtime, 5000, 1, [&](int i) {
        return disk.read([i](const RecordView& view) { view.get(fmt::format("key{:08}", i)); });
      });
    });
  };
  auto before = read();
  for (int i = 0; i < 1000; ++i) {
    Batch batch;
    batch.erase_range(fmt::format("l{:08}", i * 10), fmt::format("l{:08}", i * 10 + 9));
    CHECK(runtime.run(disk.commit(std::move(batch), Sync::no)));
  }
  auto after = read();
  fmt::print("read 1 record: {:.1f} us; with 1000 erased ranges in the memtable {:.1f} us\n", before * 200,
             after * 200);
}

int run(const std::filesystem::path& directory) {
  TestRuntime runtime;
  auto disk = RealDisk::open(runtime, directory);
  CHECK(disk, "{}", disk.error().text());
  for (int at_once : {1, 2, 4, 8, 16}) bench_files(runtime, **disk, at_once);
  for (int at_once : {1, 8, 64, 256}) bench_commits(runtime, **disk, at_once, Sync::yes);
  for (int at_once : {1, 64}) bench_commits(runtime, **disk, at_once, Sync::no);
  bench_updates(runtime, **disk);
  bench_range_erasures(runtime, **disk);
  return 0;
}

}  // namespace

}  // namespace chordfs

int main(int argc, char** argv) {
  chordfs::TemporaryDirectory temporary;
  return chordfs::run((argc > 1 ? std::filesystem::path(argv[1]) : temporary.path()) / "bench");
}
