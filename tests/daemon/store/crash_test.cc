// kill -9 of a real process in the middle of commits and puts: what it had acknowledged is there afterwards.
// The victim is this program itself, started anew (RocksDB's threads do not survive a fork).

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "daemon/store/block_store.h"
#include "daemon/store/real_disk.h"
#include "proto/base/task.h"
#include "proto/wire/limits.h"
#include "tests/daemon/store/disk_contract.h"
#include "tests/daemon/store/temporary_directory.h"

namespace chordfs {

namespace {

constexpr int kRounds = 20;
constexpr int kPairsAtOnce = 4;
constexpr ArcNumber kArc = 1;

/// What the victim tells through the pipe, once it is durable.
struct Report {
  char kind = 0;  ///< 'r': record, 'b': block.
  int number = 0;
};

std::string block_id(int number) {
  std::string id(kBlockIdBytes - sizeof(std::uint32_t), 'c');
  append_u32(id, static_cast<std::uint32_t>(number));
  return id;
}
std::string block_contents(int number) {
  return std::string(60000, static_cast<char>(number));
}

void report(char kind, int number) {
  Report what{kind, number};
  CHECK(::write(STDOUT_FILENO, &what, sizeof what) == sizeof what, "the parent is gone");
}

/// Numbers one after the other, each with its double, in groups that share a sync.
awaitable<void> write_records(Disk& disk, int from) {
  for (int i = from;; i += kPairsAtOnce) {
    std::vector<awaitable<Result<void>>> waiting;
    for (int j = i; j < i + kPairsAtOnce; ++j) {
      auto batch = put(fmt::format("a{:08}", j), std::to_string(j));
      batch.put(fmt::format("b{:08}", j), std::string(200, 'x'));
      waiting.push_back(disk.commit(std::move(batch), j % 2 ? Sync::yes : Sync::no));
    }
    for (int j = i; auto& each : waiting) {
      auto result = co_await std::move(each);
      CHECK(result, "{}", result.error().text());
      report('r', j++);
    }
  }
}

awaitable<void> write_blocks(BlockStore& blocks, int from, int step) {
  for (int i = from;; i += step) {
    auto contents = block_contents(i);
    auto result = co_await blocks.put(kArc, block_id(i), Bytes::copy(contents), crc32c(contents));
    CHECK(result, "{}", result.error().text());
    report('b', i);
  }
}

/// Never returns: it is killed.
int victim(const char* directory, int records_from, int blocks_from) {
  TestRuntime runtime;
  auto disk = RealDisk::open(runtime, directory, {.block_cache_bytes = 4U << 20, .memtable_bytes = 256U << 10});
  CHECK(disk, "{}", disk.error().text());
  auto blocks = runtime.run(BlockStore::open(**disk));
  TaskGroup tasks(runtime);
  tasks.spawn("records", write_records(**disk, records_from));
  tasks.spawn("blocks", write_blocks(**blocks, blocks_from, 2));
  tasks.spawn("blocks", write_blocks(**blocks, blocks_from + 1, 2));
  runtime.run(tasks.join());
  return 0;
}

/// Starts a victim, kills it after it has reported `reports` times; returns all that it reported.
std::vector<Report> run_and_kill(const std::filesystem::path& directory, int records_from, int blocks_from,
                                 int reports) {
  int ends[2];
  CHECK(::pipe(ends) == 0);
  auto child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    auto records = std::to_string(records_from), blocks = std::to_string(blocks_from);
    ::execl("/proc/self/exe", "store_test", "--victim", directory.c_str(), records.c_str(), blocks.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  std::vector<Report> all;
  Report one;
  while (::read(ends[0], &one, sizeof one) == sizeof one) {
    all.push_back(one);
    if (static_cast<int>(all.size()) == reports) ::kill(child, SIGKILL);
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the victim ended by itself: " << status;
  return all;
}

}  // namespace

TEST(Crash, KilledProcessKeepsWhatItAcknowledged) {
  TemporaryDirectory directory;
  std::mt19937 chance(1);
  int records = 0, blocks = 0;  // All below are known to be there.
  for (int round = 0; round < kRounds; ++round) {
    auto reports = run_and_kill(directory.path(), records, blocks, static_cast<int>(chance() % 150) + 1);
    TestRuntime runtime;
    auto opened = RealDisk::open(runtime, directory.path(), {.block_cache_bytes = 4U << 20});
    ASSERT_TRUE(opened) << opened.error().text();
    auto store = *runtime.run(BlockStore::open(**opened));
    int record_acknowledged = records - 1;
    for (const auto& each : reports) {
      if (each.kind == 'r') record_acknowledged = std::max(record_acknowledged, each.number);
      if (each.kind != 'b') continue;
      blocks = std::max(blocks, each.number + 1);
      auto part = runtime.run(store->get(kArc, block_id(each.number), 0, kBlockBytesMax));
      ASSERT_TRUE(part) << part.error().text();
      EXPECT_EQ(part->bytes.view(), block_contents(each.number));
    }
    Pairs singles, doubles;
    ASSERT_TRUE(runtime.run((*opened)->read([&](const RecordView& view) {
      singles = pairs_in(view, "a", "b");
      doubles = pairs_in(view, "b", "c");
    })));
    EXPECT_EQ(singles.size(), doubles.size()) << "half a batch";
    EXPECT_GE(static_cast<int>(singles.size()), record_acknowledged + 1);
    for (int next = 0; const auto& [key, value] : singles) EXPECT_EQ(value, std::to_string(next++)) << "a hole";
    records = static_cast<int>(singles.size());
  }
  EXPECT_GT(records, 200);
  EXPECT_GT(blocks, 50);
}

}  // namespace chordfs

int main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == "--victim")
    return chordfs::victim(argv[2], std::stoi(argv[3]), std::stoi(argv[4]));
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
