// What every Disk keeps, on the real one and on the simulated one.

#include "tests/daemon/store/disk_contract.h"

#include <algorithm>

#include "daemon/store/real_disk.h"
#include "proto/base/task.h"
#include "tests/daemon/store/temporary_directory.h"
#include "tools/sim/disk.h"

namespace chordfs {

namespace {

class RealPlace final : public DiskPlace {
 public:
  std::unique_ptr<Disk> open(Runtime& runtime) override {
    auto disk = RealDisk::open(runtime, directory_.path() / "node", {.block_cache_bytes = 8U << 20});
    CHECK(disk, "{}", disk.error().text());
    return std::move(*disk);
  }

 private:
  TemporaryDirectory directory_;
};

class SimPlace final : public DiskPlace {
 public:
  explicit SimPlace(Runtime& runtime) : disk_(runtime) {}
  std::unique_ptr<Disk> open(Runtime& runtime) override { return disk_.open(runtime); }

 private:
  SimDisk disk_;
};

}  // namespace

std::unique_ptr<DiskPlace> real_disk_place(Runtime&) {
  return std::make_unique<RealPlace>();
}
std::unique_ptr<DiskPlace> sim_disk_place(Runtime& runtime) {
  return std::make_unique<SimPlace>(runtime);
}

class DiskContract : public testing::TestWithParam<MakeDiskPlace> {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    disk.reset();
    disk = place->open(runtime);
  }
  void commit(Batch batch, Sync sync = Sync::no) {
    auto result = runtime.run(disk->commit(std::move(batch), sync));
    ASSERT_TRUE(result) << result.error().text();
  }
  void put_file(std::string name, std::vector<Bytes> pieces) {
    auto result = runtime.run(disk->put_file(std::move(name), std::move(pieces)));
    ASSERT_TRUE(result) << result.error().text();
  }
  std::string read_file(std::string name, std::uint64_t offset = 0, std::size_t size = 1U << 30) {
    auto result = runtime.run(disk->read_file(std::move(name), offset, size));
    return result ? std::string(result->view()) : std::string(name_of(result.code()));
  }
  std::vector<std::string> file_names() {
    auto files = runtime.run(disk->list_files());
    std::vector<std::string> names;
    for (const auto& file : *files) names.push_back(file.name);
    std::ranges::sort(names);
    return names;
  }

  TestRuntime runtime;
  std::unique_ptr<DiskPlace> place = GetParam()(runtime);
  std::unique_ptr<Disk> disk;
};

INSTANTIATE_TEST_SUITE_P(Disk, DiskContract, testing::Values(&real_disk_place, &sim_disk_place),
                         [](const auto& info) { return info.index == 0 ? "Real" : "Sim"; });

TEST_P(DiskContract, EmptyAtFirst) {
  EXPECT_TRUE(contents(runtime, *disk).empty());
  EXPECT_TRUE(file_names().empty());
}

TEST_P(DiskContract, CommitIsSeenByLaterRead) {
  commit(put("a", "1"));
  EXPECT_EQ(contents(runtime, *disk), (Pairs{{"a", "1"}}));
}

TEST_P(DiskContract, ChangesOfOneBatchHappenInOrder) {
  Batch batch;
  batch.put("a", "1");
  batch.erase("a");
  batch.put("b", "1");
  batch.put("b", "2");
  commit(std::move(batch));
  EXPECT_EQ(contents(runtime, *disk), (Pairs{{"b", "2"}}));
}

TEST_P(DiskContract, CommitsHappenInOrderOfCalls) {
  std::vector<awaitable<Result<void>>> waiting;
  for (int i = 0; i < 50; ++i) waiting.push_back(disk->commit(put("a", std::to_string(i)), Sync::no));
  for (auto& each : waiting) EXPECT_TRUE(runtime.run(std::move(each)));
  EXPECT_EQ(contents(runtime, *disk), (Pairs{{"a", "49"}}));
}

TEST_P(DiskContract, KeysAreOrderedAsUnsignedBytes) {
  commit(put(std::string("\xff", 1), "last"));
  commit(put(std::string("\0", 1), "first"));
  commit(put("a", ""));
  EXPECT_EQ(contents(runtime, *disk),
            (Pairs{{std::string("\0", 1), "first"}, {"a", ""}, {std::string("\xff", 1), "last"}}));
}

TEST_P(DiskContract, ScanTakesFromAndLeavesTo) {
  for (auto key : {"a", "b", "ba", "c"}) commit(put(key, "1"));
  Pairs some, from, none, first;
  auto result = runtime.run(disk->read([&](const RecordView& view) {
    some = pairs_in(view, "b", "c");
    from = pairs_in(view, "b");
    none = pairs_in(view, "c", "c");
    view.scan("", "", [&](auto key, auto value) {
      first.emplace_back(key, value);
      return false;
    });
  }));
  EXPECT_TRUE(result);
  EXPECT_EQ(some, (Pairs{{"b", "1"}, {"ba", "1"}}));
  EXPECT_EQ(from.size(), 3U);
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(first.size(), 1U);
}

TEST_P(DiskContract, RangeIsErasedBeforeChangesOfTheSameBatch) {
  for (auto key : {"a", "b", "c", "d"}) commit(put(key, "old"));
  Batch batch;
  batch.put("b", "new");
  batch.erase_range("b", "d");
  commit(std::move(batch));
  EXPECT_EQ(contents(runtime, *disk), (Pairs{{"a", "old"}, {"b", "new"}, {"d", "old"}}));
}

TEST_P(DiskContract, RangeOfALaterCommitErasesWhatAnEarlierPut) {
  auto first = disk->commit(put("b", "old"), Sync::no);
  Batch batch;
  batch.erase_range("a", "c");
  auto second = disk->commit(std::move(batch), Sync::no);
  EXPECT_TRUE(runtime.run(std::move(first)));
  EXPECT_TRUE(runtime.run(std::move(second)));
  EXPECT_TRUE(contents(runtime, *disk).empty());
}

TEST_P(DiskContract, RangeWithoutEndErasesToTheLastKey) {
  for (std::string key : {std::string("a"), std::string("b"), std::string(300, '\xff')}) commit(put(key, "1"));
  Batch batch;
  batch.erase_range("b", "");
  commit(std::move(batch));
  EXPECT_EQ(contents(runtime, *disk), (Pairs{{"a", "1"}}));
}

TEST_P(DiskContract, ReversedRangeErasesNothing) {
  commit(put("b", "1"));
  Batch batch;
  batch.erase_range("c", "a");
  commit(std::move(batch));
  EXPECT_EQ(contents(runtime, *disk).size(), 1U);
}

TEST_P(DiskContract, UpdateSeesCommitsAndEarlierUpdates) {
  commit(put("n", "0"));
  std::vector<awaitable<Result<void>>> waiting;
  for (int i = 0; i < 200; ++i)
    waiting.push_back(disk->update([](const RecordView& view) {
      return put("n", std::to_string(std::stoi(view.get("n").value_or("-1000")) + 1));
    }));
  for (auto& each : waiting) EXPECT_TRUE(runtime.run(std::move(each)));
  EXPECT_EQ(contents(runtime, *disk), (Pairs{{"n", "200"}}));
}

TEST_P(DiskContract, UpdateMayChangeNothing) {
  EXPECT_TRUE(runtime.run(disk->update([](const RecordView&) { return Batch(); })));
  EXPECT_TRUE(contents(runtime, *disk).empty());
}

TEST_P(DiskContract, SnapshotStaysAsItWas) {
  commit(put("a", "1"));
  auto view = disk->snapshot();
  Batch batch = put("b", "2");
  batch.erase("a");
  commit(std::move(batch));
  Pairs seen;
  EXPECT_TRUE(runtime.run(disk->read_at(view, [&](const RecordView& v) { seen = pairs_in(v); })));
  EXPECT_EQ(seen, (Pairs{{"a", "1"}}));
  EXPECT_EQ(contents(runtime, *disk), (Pairs{{"b", "2"}}));
}

TEST_P(DiskContract, ManyConcurrentSyncedCommitsAllHappen) {
  constexpr int kCommits = 500;
  std::vector<awaitable<Result<void>>> waiting;
  for (int i = 0; i < kCommits; ++i)
    waiting.push_back(disk->commit(put(std::to_string(i), std::string(100, 'x')), i % 2 ? Sync::yes : Sync::no));
  for (auto& each : waiting) EXPECT_TRUE(runtime.run(std::move(each)));
  EXPECT_EQ(contents(runtime, *disk).size(), static_cast<std::size_t>(kCommits));
}

TEST_P(DiskContract, EmptySyncedCommitIsFine) {
  commit(Batch(), Sync::yes);
}

TEST_P(DiskContract, ReopenKeepsRecordsAndFiles) {
  commit(put("a", "1"), Sync::yes);
  EXPECT_TRUE(runtime.run(disk->update([](const RecordView&) { return put("b", "2"); })));
  commit(Batch(), Sync::yes);
  put_file("abcd", {Bytes::copy("contents")});
  reopen();
  EXPECT_EQ(contents(runtime, *disk), (Pairs{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(read_file("abcd"), "contents");
}

TEST_P(DiskContract, FileIsItsPiecesInOrder) {
  std::vector<Bytes> pieces;
  std::string whole;
  for (int i = 0; i < 200; ++i) {
    auto piece = std::string(static_cast<std::size_t>(i * 7 % 50), static_cast<char>('a' + i % 26));
    whole += piece;
    pieces.push_back(Bytes::take(std::move(piece)));
  }
  put_file("00", pieces);
  EXPECT_EQ(read_file("00"), whole);
}

TEST_P(DiskContract, FileIsReadInParts) {
  put_file("abcd", {Bytes::copy("0123456789")});
  EXPECT_EQ(read_file("abcd", 0, 3), "012");
  EXPECT_EQ(read_file("abcd", 8, 100), "89");
  EXPECT_EQ(read_file("abcd", 10, 1), "");
  EXPECT_EQ(read_file("abcd", 100, 1), "");
}

TEST_P(DiskContract, FileMayBeEmpty) {
  put_file("abcd", {});
  EXPECT_EQ(read_file("abcd"), "");
  EXPECT_EQ(file_names(), (std::vector<std::string>{"abcd"}));
}

TEST_P(DiskContract, FileIsReplaced) {
  put_file("abcd", {Bytes::copy("a longer first one")});
  put_file("abcd", {Bytes::copy("second")});
  EXPECT_EQ(read_file("abcd"), "second");
  EXPECT_EQ(file_names().size(), 1U);
}

TEST_P(DiskContract, MissingFileIsNoBlock) {
  EXPECT_EQ(read_file("abcd"), "no_block");
}

TEST_P(DiskContract, ErasedFileIsGoneAndEraseRepeats) {
  put_file("abcd", {Bytes::copy("x")});
  EXPECT_TRUE(runtime.run(disk->erase_file("abcd")));
  EXPECT_TRUE(runtime.run(disk->erase_file("abcd")));
  EXPECT_EQ(read_file("abcd"), "no_block");
  EXPECT_TRUE(file_names().empty());
}

TEST_P(DiskContract, ChangesOfOneFileHappenInOrderOfCalls) {
  std::vector<awaitable<Result<void>>> waiting;
  for (int i = 0; i < 40; ++i) {
    auto name = "0" + std::to_string(i % 4);
    if (i % 5 == 3)
      waiting.push_back(disk->erase_file(name));
    else
      waiting.push_back(disk->put_file(name, {Bytes::copy(std::to_string(i))}));
  }
  for (auto& each : waiting) EXPECT_TRUE(runtime.run(std::move(each)));
  EXPECT_EQ(read_file("00"), "36");
  EXPECT_EQ(read_file("01"), "37");
  EXPECT_EQ(read_file("02"), "no_block");  // 38 is an erasure.
  EXPECT_EQ(read_file("03"), "39");
}

TEST_P(DiskContract, ListsEveryFileWithItsSize) {
  for (int i = 0; i < 30; ++i)
    put_file(hex(std::string(20, static_cast<char>(i))), {Bytes::take(std::string(static_cast<std::size_t>(i), 'x'))});
  auto files = runtime.run(disk->list_files());
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 30U);
  for (const auto& file : *files) EXPECT_EQ(file.name, hex(std::string(20, static_cast<char>(file.size)))) << file.size;
}

TEST_P(DiskContract, SpaceCountsFiles) {
  auto before = runtime.run(disk->space());
  put_file("abcd", {Bytes::take(std::string(1U << 20, 'x'))});
  auto with = runtime.run(disk->space());
  ASSERT_TRUE(before && with);
  EXPECT_GE(with->used, before->used + (1U << 20));
  EXPECT_LT(with->used, before->used + (2U << 20));
  EXPECT_GE(with->total, with->free);
  EXPECT_TRUE(runtime.run(disk->erase_file("abcd")));
  EXPECT_LT(runtime.run(disk->space())->used, before->used + (1U << 20));
}

TEST_P(DiskContract, OperationGoesOnWhenNobodyWaits) {
  {
    auto dropped = disk->commit(put("a", "1"), Sync::no);
  }
  commit(put("b", "1"));
  EXPECT_EQ(contents(runtime, *disk).size(), 2U);
}

TEST_P(DiskContract, CancelledWaiterIsSafe) {
  TaskGroup tasks(runtime);
  int ended = 0;
  auto wait = [](Disk& d, int i, int& count) -> awaitable<void> {
    (void)co_await d.commit(put(std::to_string(i), "1"), Sync::yes);
    (void)co_await d.put_file("abcd", {Bytes::copy("x")});
    ++count;
  };
  for (int i = 0; i < 20; ++i) tasks.spawn("wait", wait(*disk, i, ended));
  runtime.settle();
  tasks.stop();
  runtime.run(tasks.join());
  commit(put("z", "1"));
  EXPECT_GE(contents(runtime, *disk).size(), 1U);
}

TEST_P(DiskContract, ClosingEndsEveryWait) {
  TaskGroup tasks(runtime);
  int ended = 0;
  auto wait = [](awaitable<Result<void>> operation, int& count) -> awaitable<void> {
    auto result = co_await std::move(operation);
    EXPECT_TRUE(result || result.code() == Errc::cancelled) << result.error().text();
    ++count;
  };
  for (int i = 0; i < 30; ++i) {
    tasks.spawn("commit", wait(disk->commit(put(std::to_string(i), "1"), Sync::yes), ended));
    tasks.spawn("update", wait(disk->update([](const RecordView&) { return Batch(); }), ended));
    tasks.spawn("read", wait(disk->read([](const RecordView&) {}), ended));
    tasks.spawn("put", wait(disk->put_file(hex(std::to_string(100 + i)), {Bytes::copy("x")}), ended));
  }
  runtime.settle();
  disk.reset();
  runtime.run(tasks.join());
  EXPECT_EQ(ended, 120);
  disk = place->open(runtime);
}

}  // namespace chordfs
