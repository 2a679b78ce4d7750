// BlockStore on a SimDisk, whose files can be damaged; what needs no damage is shown on the real disk by the contract.

#include "daemon/store/block_store.h"

#include <gtest/gtest.h>

#include "proto/base/task.h"
#include "tests/daemon/store/test_runtime.h"
#include "tools/sim/disk.h"

namespace chordfs {

class BlockStoreTest : public testing::Test {
 protected:
  static constexpr ArcNumber kArc = 3;

  void SetUp() override { reopen(); }
  void reopen() {
    blocks.reset();
    disk.reset();
    disk = platter.open(runtime);
    blocks = *runtime.run(BlockStore::open(*disk));
  }
  static std::string id(int number) {
    std::string bytes(20, 'i');
    append_u32(bytes, static_cast<std::uint32_t>(number));
    return bytes;
  }
  static std::string file(int number) { return BlockName{kArc, id(number)}.file(); }
  static std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 256);
    return text;
  }
  Result<void> put(int number, const std::string& contents) {
    return runtime.run(blocks->put(kArc, id(number), Bytes::copy(contents), crc32c(contents)));
  }
  Result<BlockStore::Part> get(int number, std::uint32_t offset = 0, std::uint32_t length = kBlockBytesMax) {
    return runtime.run(blocks->get(kArc, id(number), offset, length));
  }
  /// Where the data of piece `piece` begins in the file of a block of `size` bytes.
  static std::uint64_t data_at(std::size_t size, std::size_t piece) {
    return block_header_bytes(size) + piece * kPieceBytes;
  }

  TestRuntime runtime;
  SimDisk platter{runtime};
  std::unique_ptr<Disk> disk;
  std::unique_ptr<BlockStore> blocks;
};

TEST_F(BlockStoreTest, GivesBackAnyPart) {
  for (std::size_t size : {0UL, 1UL, 16384UL, 100000UL, kBlockBytesMax}) {
    auto contents = pattern(size);
    ASSERT_TRUE(put(1, contents));
    for (std::uint32_t offset : {0U, 1U, 16383U, 16384U, 70000U, 90000U, 1U << 21})
      for (std::uint32_t length : {0U, 1U, 16384U, 50000U, 0xffffffffU}) {
        auto part = get(1, offset, length);
        ASSERT_TRUE(part) << part.error().text();
        auto expected = offset < size ? std::string_view(contents).substr(offset, length) : std::string_view();
        EXPECT_EQ(part->bytes.view(), expected) << size << " " << offset << " " << length;
        EXPECT_EQ(part->block_length, size);
        EXPECT_EQ(part->block_crc, crc32c(contents));
      }
  }
}

TEST_F(BlockStoreTest, RefusesContentsThatDoNotMatch) {
  EXPECT_EQ(runtime.run(blocks->put(kArc, id(1), Bytes::copy("x"), 1)).code(), Errc::corrupt);
  EXPECT_EQ(get(1).code(), Errc::no_block);
  EXPECT_TRUE(platter.files().empty());
}

TEST_F(BlockStoreTest, RefusesWhatNoBlockHas) {
  EXPECT_EQ(runtime.run(blocks->put(kArc, "short", Bytes(), 0)).code(), Errc::bad_message);
  EXPECT_EQ(runtime.run(blocks->get(kArc, "short", 0, 1)).code(), Errc::bad_message);
  EXPECT_EQ(runtime.run(blocks->erase(kArc, "")).code(), Errc::bad_message);
  EXPECT_EQ(put(1, std::string(kBlockBytesMax + 1, 'x')).code(), Errc::bad_message);
}

TEST_F(BlockStoreTest, ListsInOrderAndCounts) {
  for (int number : {3, 1, 2}) ASSERT_TRUE(put(number, pattern(static_cast<std::size_t>(number))));
  auto held = blocks->list(kArc);
  ASSERT_EQ(held.size(), 3U);
  EXPECT_EQ(held[0].id, id(1));
  EXPECT_EQ(held[2].length, 3U);
  EXPECT_EQ(blocks->usage(kArc).bytes, 6U);
  EXPECT_EQ(blocks->usage(kArc).blocks, 3U);
  EXPECT_EQ(blocks->arcs(), (std::vector<ArcNumber>{kArc}));
  EXPECT_TRUE(blocks->list(kArc + 1).empty());
}

TEST_F(BlockStoreTest, IndexIsTheSameAfterReopening) {
  for (int number = 0; number < 20; ++number)
    ASSERT_TRUE(put(number, pattern(static_cast<std::size_t>(number) * 5000)));
  ASSERT_TRUE(runtime.run(blocks->erase(kArc, id(7))));
  auto before = blocks->usage(kArc);
  reopen();
  EXPECT_EQ(blocks->usage(kArc).bytes, before.bytes);
  EXPECT_EQ(blocks->list(kArc).size(), 19U);
  EXPECT_EQ(blocks->length_of(kArc, id(3)), 15000U);
  EXPECT_FALSE(blocks->length_of(kArc, id(7)));
}

TEST_F(BlockStoreTest, PutAgainCountsOnce) {
  ASSERT_TRUE(put(1, pattern(10)));
  ASSERT_TRUE(put(1, pattern(10)));
  EXPECT_EQ(blocks->usage(kArc).bytes, 10U);
  EXPECT_EQ(blocks->usage(kArc).blocks, 1U);
}

TEST_F(BlockStoreTest, EraseRepeatsAndForgets) {
  ASSERT_TRUE(put(1, pattern(10)));
  EXPECT_TRUE(runtime.run(blocks->erase(kArc, id(1))));
  EXPECT_TRUE(runtime.run(blocks->erase(kArc, id(1))));
  EXPECT_EQ(get(1).code(), Errc::no_block);
  EXPECT_TRUE(blocks->arcs().empty());
}

TEST_F(BlockStoreTest, EraseArcLeavesOtherArcs) {
  for (int number = 0; number < 150; ++number) ASSERT_TRUE(put(number, pattern(10)));
  ASSERT_TRUE(runtime.run(blocks->put(kArc + 1, id(1), Bytes::copy("x"), crc32c("x"))));
  EXPECT_TRUE(runtime.run(blocks->erase_arc(kArc)));
  EXPECT_EQ(blocks->arcs(), (std::vector<ArcNumber>{kArc + 1}));
  EXPECT_EQ(platter.files().size(), 1U);
}

TEST_F(BlockStoreTest, FlippedBitInHeaderIsCorruptEverywhere) {
  ASSERT_TRUE(put(1, pattern(100000)));
  ASSERT_TRUE(platter.flip_file(file(1), 30));
  EXPECT_EQ(get(1, 0, 1).code(), Errc::corrupt);
  EXPECT_EQ(get(1, 90000, 1).code(), Errc::corrupt);
}

TEST_F(BlockStoreTest, FlippedBitInAPieceIsCorruptThereOnly) {
  ASSERT_TRUE(put(1, pattern(200000)));
  ASSERT_TRUE(platter.flip_file(file(1), data_at(200000, 2) + 5));
  EXPECT_TRUE(get(1, 0, 2 * kPieceBytes));
  EXPECT_TRUE(get(1, 3 * kPieceBytes, 1000000));
  auto bad = get(1, 2 * kPieceBytes, 1);
  EXPECT_EQ(bad.code(), Errc::corrupt);
  EXPECT_NE(bad.error().context.find(file(1)), std::string::npos);
  EXPECT_EQ(get(1).code(), Errc::corrupt);
  EXPECT_TRUE(get(1, 0, 2 * kPieceBytes)) << "still readable when it is suspect";
}

TEST_F(BlockStoreTest, CorruptBlockIsSuspectUntilPutAgain) {
  ASSERT_TRUE(put(1, pattern(100000)));
  ASSERT_TRUE(platter.flip_file(file(1), data_at(100000, 2)));
  EXPECT_EQ(get(1).code(), Errc::corrupt);
  EXPECT_TRUE(blocks->list(kArc).empty());
  EXPECT_EQ(blocks->suspects(kArc), (std::vector<std::string>{id(1)}));
  EXPECT_EQ(blocks->usage(kArc).bytes, 0U);
  ASSERT_TRUE(put(1, pattern(100000)));
  EXPECT_TRUE(get(1));
  EXPECT_EQ(blocks->list(kArc).size(), 1U);
  EXPECT_TRUE(blocks->suspects(kArc).empty());
}

TEST_F(BlockStoreTest, CutFileIsReadableBeforeTheCut) {
  ASSERT_TRUE(put(1, pattern(100000)));
  platter.set_file(file(1), platter.file(file(1)).slice(0, data_at(100000, 4) + 100));
  EXPECT_TRUE(get(1, 0, 4 * kPieceBytes));
  EXPECT_EQ(get(1, 4 * kPieceBytes, 1).code(), Errc::corrupt);
  EXPECT_EQ(get(1, 99999, 1).code(), Errc::corrupt);
}

TEST_F(BlockStoreTest, CutFileIsSuspectFromTheStart) {
  ASSERT_TRUE(put(1, pattern(100000)));
  platter.set_file(file(1), platter.file(file(1)).slice(0, 50000));
  ASSERT_TRUE(put(2, pattern(10)));
  platter.set_file(file(2), Bytes());
  reopen();
  EXPECT_EQ(blocks->list(kArc).size() + blocks->suspects(kArc).size(), 2U);
  EXPECT_EQ(get(1).code(), Errc::corrupt);
  EXPECT_EQ(get(2).code(), Errc::corrupt);
  EXPECT_EQ(blocks->suspects(kArc).size(), 2U);
  EXPECT_TRUE(runtime.run(blocks->erase_arc(kArc)));
  EXPECT_TRUE(platter.files().empty());
}

TEST_F(BlockStoreTest, FileOfAnotherBlockIsCorrupt) {
  ASSERT_TRUE(put(1, pattern(1000)));
  ASSERT_TRUE(put(2, pattern(1000)));
  platter.set_file(file(1), platter.file(file(2)));
  EXPECT_EQ(get(1).code(), Errc::corrupt);
  EXPECT_TRUE(get(2));
}

TEST_F(BlockStoreTest, LostFileIsNoBlockAndForgotten) {
  ASSERT_TRUE(put(1, pattern(1000)));
  ASSERT_TRUE(runtime.run(disk->erase_file(file(1))));
  EXPECT_EQ(get(1).code(), Errc::no_block);
  EXPECT_TRUE(blocks->arcs().empty());
}

TEST_F(BlockStoreTest, EveryFlippedBitIsFound) {
  auto contents = pattern(3000);
  ASSERT_TRUE(put(1, contents));
  for (int round = 0; round < 200; ++round) {
    auto before = platter.file(file(1));
    ASSERT_TRUE(platter.flip_any_file());
    EXPECT_EQ(get(1).code(), Errc::corrupt);
    platter.set_file(file(1), before);
  }
}

TEST_F(BlockStoreTest, FullDiskRefusesAndForgetsOnRead) {
  ASSERT_TRUE(put(1, pattern(1000)));
  platter.options().capacity_bytes = 2000;
  EXPECT_EQ(put(2, pattern(1000)).code(), Errc::disk_full);
  EXPECT_EQ(put(1, pattern(1000)).code(), Errc::disk_full);
  EXPECT_EQ(blocks->list(kArc).size(), 1U) << "the old copy is as good as it was";
  EXPECT_EQ(get(2).code(), Errc::no_block);
  EXPECT_TRUE(blocks->suspects(kArc).empty());
}

TEST_F(BlockStoreTest, CancelledPutLeavesItSuspect) {
  TaskGroup tasks(runtime);
  auto putting = [](BlockStore& store) -> awaitable<void> {
    (void)co_await store.put(kArc, id(1), Bytes::copy("x"), crc32c("x"));
  };
  tasks.spawn("put", putting(*blocks));
  runtime.settle();
  tasks.stop();
  runtime.run(tasks.join());
  EXPECT_TRUE(blocks->list(kArc).empty());
  EXPECT_EQ(blocks->suspects(kArc).size(), 1U);
  runtime.advance(1s);
  EXPECT_TRUE(get(1)) << "the disk went on";
}

TEST_F(BlockStoreTest, EraseOvertakesNoPut) {
  auto contents = pattern(10);
  auto putting = blocks->put(kArc, id(1), Bytes::copy(contents), crc32c(contents));
  TaskGroup tasks(runtime);
  auto wait = [](awaitable<Result<void>> operation) -> awaitable<void> {
    auto result = co_await std::move(operation);
    EXPECT_TRUE(result);
  };
  tasks.spawn("put", wait(std::move(putting)));
  runtime.settle();
  tasks.spawn("erase", wait(blocks->erase(kArc, id(1))));
  runtime.run(tasks.join());
  EXPECT_TRUE(blocks->arcs().empty());
  EXPECT_TRUE(platter.files().empty());
}

TEST_F(BlockStoreTest, TornFilesAreNeverHandedOut) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    TestRuntime own(seed);
    SimDisk torn(own, {.torn_files = true});
    auto contents = pattern(50000);
    {
      auto handle = torn.open(own);
      auto store = *own.run(BlockStore::open(*handle));
      TaskGroup tasks(own);
      auto putting = [](BlockStore& s, int number, Bytes bytes) -> awaitable<void> {
        (void)co_await s.put(kArc, id(number), bytes, crc32c(bytes.view()));
      };
      for (int number = 0; number < 5; ++number) tasks.spawn("put", putting(*store, number, Bytes::copy(contents)));
      own.advance(Duration(own.below(3'000'000)));
      torn.crash(Crash::power_loss);
      own.run(tasks.join());
    }
    auto handle = torn.open(own);
    auto store = *own.run(BlockStore::open(*handle));
    for (int number = 0; number < 5; ++number) {
      auto part = own.run(store->get(kArc, id(number), 0, kBlockBytesMax));
      if (part) EXPECT_EQ(part->bytes.view(), contents) << "seed " << seed;
    }
  }
}

}  // namespace chordfs
