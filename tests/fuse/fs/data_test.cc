#include "fuse/fs/unsent.h"
#include "tests/fuse/fs/mounts.h"

namespace chordfs {

namespace {
class Data : public FileSystemTest {};
constexpr std::size_t kMiB = 1 << 20;

TEST_F(Data, SmallFileIsReadBackByTheOtherMount) {
  a.save(root, "f", "hello");
  EXPECT_EQ(b.load(b.ino(root, "f")), "hello");
  EXPECT_TRUE(ring.blocks().empty());
  EXPECT_EQ(b.attr(b.ino(root, "f")).size(), 5);
}

TEST_F(Data, SmallFileCostsOneTransactionToWriteAndOneQuestionToRead) {
  auto handle = a.create(root, "f");
  auto before = calls("transact");
  a.write(handle, 0, "hello");
  a.flush(handle);
  EXPECT_EQ(calls("transact") - before, 1);
  a.flush(handle);
  EXPECT_EQ(calls("transact") - before, 1);
  a.close(handle);
  auto ino = b.ino(root, "f");
  auto queries = calls("query");
  EXPECT_EQ(b.load(ino), "hello");
  EXPECT_EQ(calls("query") - queries, 1);
}

TEST_F(Data, WhatIsNotSentIsSeenByOneselfAtOnce) {
  auto handle = a.create(root, "f");
  a.write(handle, 3, "abc");
  auto ino = a.ino(root, "f");
  EXPECT_EQ(a.attr(ino).size(), 6);
  EXPECT_GT(a.attr(ino).allocated(), 0);
  EXPECT_EQ(a.read(handle, 0, 100), std::string("\0\0\0abc", 6));
  EXPECT_EQ(b.attr(ino).size(), 0);
  auto mtime = a.attr(ino).mtime();
  a.close(handle);
  EXPECT_EQ(b.attr(ino).mtime(), mtime);
}

TEST_F(Data, ReadEndsAtTheEnd) {
  a.save(root, "f", "hello");
  auto handle = a.open(a.ino(root, "f"));
  EXPECT_EQ(a.read(handle, 3, 100), "lo");
  EXPECT_EQ(a.read(handle, 5, 100), "");
  EXPECT_EQ(a.read(handle, 500, 100), "");
  a.close(handle);
}

TEST_F(Data, FileOutgrowsItsRecord) {
  auto start = pattern(3000), more = pattern(5000, 2);
  a.save(root, "f", start);
  auto handle = b.open(b.ino(root, "f"));
  b.write(handle, 3500, more);
  b.close(handle);
  EXPECT_FALSE(ring.blocks().empty());
  EXPECT_EQ(a.load(a.ino(root, "f")), start + std::string(500, '\0') + more);
}

TEST_F(Data, FileOutgrowsARecordThatAnotherMountHasChanged) {
  a.save(root, "f", "one");
  auto ino = a.ino(root, "f");
  auto slow = a.open(ino), fast = b.open(ino);
  b.write(fast, 0, "two, and longer");
  b.close(fast);
  a.write(slow, 5000, "x");
  a.close(slow);
  EXPECT_EQ(b.load(ino), "two, and longer" + std::string(4985, '\0') + "x");
}

TEST_F(Data, SmallWriteMeetsAFileThatHasBlocksByNow) {
  auto ino = a.make_file(root, "f").ino();
  auto slow = a.open(ino), fast = b.open(ino);
  auto large = pattern(10000);
  b.write(fast, 0, large);
  b.close(fast);
  a.write(slow, 5, "SMALL");
  a.close(slow);
  EXPECT_EQ(b.load(ino), large.replace(5, 5, "SMALL"));
}

TEST_F(Data, BlocksMeetAFileThatIsSmallAgain) {
  a.save(root, "f", pattern(10000));
  auto ino = a.ino(root, "f");
  auto slow = a.open(ino);
  b.save(root, "f", "small");
  a.write(slow, 8000, "end");
  a.close(slow);
  EXPECT_EQ(b.load(ino), "small" + std::string(7995, '\0') + "end");
}

TEST_F(Data, LargeFileInOrder) {
  auto contents = pattern(20 * kMiB + 12345);
  auto handle = a.create(root, "f");
  for (std::size_t at = 0; at < contents.size(); at += 128 << 10) a.write(handle, at, contents.substr(at, 128 << 10));
  a.close(handle);
  EXPECT_EQ(ring.blocks().size(), 21);
  EXPECT_TRUE(b.load(b.ino(root, "f")) == contents);
  // Read ahead and shared fetches: no block comes twice.
  EXPECT_EQ(calls("get_block"), 21);
}

TEST_F(Data, ReadsOfNearlyWrittenDataNeedNoBlocks) {
  auto contents = pattern(3 * kMiB);
  auto handle = a.create(root, "f");
  a.write(handle, 0, contents);
  EXPECT_TRUE(a.read(handle, kMiB / 2, kMiB) == contents.substr(kMiB / 2, kMiB));
  EXPECT_EQ(calls("get_block"), 0);
  a.close(handle);
}

TEST_F(Data, RandomReadFetchesOnlyItsPart) {
  a.save(root, "f", pattern(8 * kMiB));
  auto handle = b.open(b.ino(root, "f"));
  std::uint64_t least = ~0ull, most = 0;
  for (std::uint64_t at : {7 * kMiB + 5, 2 * kMiB + 100000, 5 * kMiB - 10, std::size_t{3000}}) {
    EXPECT_TRUE(b.read(handle, at, 4096) == pattern(8 * kMiB).substr(at, 4096));
    least = std::min(least, at);
    most = std::max(most, at);
  }
  EXPECT_EQ(calls("get_block"), 5);
  b.close(handle);
}

TEST_F(Data, ScatteredWritesShareBlocks) {
  a.save(root, "f", pattern(4 * kMiB));
  auto expected = pattern(4 * kMiB);
  auto blocks = ring.blocks().size();
  auto handle = a.open(a.ino(root, "f"));
  for (std::size_t i = 0; i < 100; ++i) {
    auto at = i * 37 % 100 * 40000;
    auto bytes = pattern(4096, i + 5);
    a.write(handle, at, bytes);
    expected.replace(at, bytes.size(), bytes);
  }
  a.close(handle);
  EXPECT_EQ(ring.blocks().size(), blocks + 1);
  EXPECT_TRUE(b.load(b.ino(root, "f")) == expected);
}

TEST_F(Data, HolesAreZeros) {
  auto handle = a.create(root, "f");
  a.write(handle, 100 * kMiB, "end");
  a.close(handle);
  auto ino = b.ino(root, "f");
  EXPECT_EQ(b.attr(ino).size(), 100 * kMiB + 3);
  EXPECT_LE(b.attr(ino).allocated(), 4096);
  auto reader = b.open(ino);
  EXPECT_EQ(b.read(reader, 100 * kMiB - 5, 100), std::string("\0\0\0\0\0end", 8));
  EXPECT_EQ(b.read(reader, 50 * kMiB, 10), std::string(10, '\0'));
  b.close(reader);
}

TEST_F(Data, WriteBeyondTheLargestSizeIsRefused) {
  auto handle = a.create(root, "f");
  EXPECT_EQ(a.run(a.files().write(handle, kFileBytesMax - 1, Bytes::copy("xyz"))).code(), Errc::file_too_large);
  a.close(handle);
}

TEST_F(Data, TruncateMeetsUnsentData) {
  auto handle = a.create(root, "f");
  auto ino = a.ino(root, "f");
  a.write(handle, 0, pattern(10000));
  ASSERT_TRUE(a.resize(ino, 4000));
  EXPECT_EQ(a.attr(ino).size(), 4000);
  ASSERT_TRUE(a.resize(ino, 6000));
  EXPECT_EQ(a.read(handle, 0, 10000), pattern(10000).substr(0, 4000) + std::string(2000, '\0'));
  a.write(handle, 5990, "0123456789abc");
  ASSERT_TRUE(a.resize(ino, 0));
  EXPECT_EQ(a.read(handle, 0, 100), "");
  a.close(handle);
  EXPECT_EQ(b.attr(ino).size(), 0);
  EXPECT_TRUE(ring.blocks().empty());
}

TEST_F(Data, TimesThatAreSetAfterAWriteStay) {
  auto handle = a.create(root, "f");
  auto ino = a.ino(root, "f");
  a.write(handle, 0, "x");
  SetAttributes set;
  set.mtime = 12345;
  ASSERT_TRUE(a.run(a.files().set_attributes(ino, set)));
  a.close(handle);
  EXPECT_EQ(b.attr(ino).mtime(), 12345);
}

TEST_F(Data, OldDataIsCommittedWithoutBeingAsked) {
  auto handle = a.create(root, "f");
  a.write(handle, 0, "quiet");
  world.run_for(3s);
  EXPECT_EQ(b.load(b.ino(root, "f")), "quiet");
  a.close(handle);
}

TEST_F(Data, MuchDataIsCommittedWithoutBeingAsked) {
  auto handle = a.create(root, "f");
  auto part = pattern(kMiB);
  for (std::uint64_t i = 0; i < 200; ++i) a.write(handle, i * kMiB, part);
  EXPECT_GE(b.attr(a.ino(root, "f")).size(), 64 * kMiB);
  a.close(handle);
  EXPECT_EQ(b.attr(a.ino(root, "f")).size(), 200 * kMiB);
}

TEST_F(Data, TinyAppends) {
  auto handle = a.create(root, "f");
  auto contents = pattern(30000);
  for (std::size_t i = 0; i < contents.size(); ++i) a.write(handle, i, contents.substr(i, 1));
  a.close(handle);
  EXPECT_EQ(b.load(b.ino(root, "f")), contents);
}

/// One program with two handles does random things to a file; an array is the reference.
class RandomFile : public FileSystemTest, public ::testing::WithParamInterface<std::uint64_t> {
 protected:
  void step(std::uint64_t size_max) {
    auto offset = rng.below(size_max);
    switch (rng.below(12)) {
      case 0:
        return flush();
      case 1:
        return truncate(rng.below(size_max));
      case 2:
        return reopen();
      case 3:
        return read_by_the_other();
      case 4:
        return world.run_for(Duration(1ms) * static_cast<int>(rng.below(900)));
      case 5:
      case 6:
        return read(offset, rng.below(size_max - offset) + 1);
      default:
        return write(offset, 1 + rng.below(std::min<std::uint64_t>(size_max - offset, size_max / 8)));
    }
  }
  void write(std::uint64_t offset, std::size_t size) {
    auto bytes = pattern(size, rng.next());
    a.write(handles[rng.below(2)], offset, bytes);
    if (expected.size() < offset + size) expected.resize(offset + size);
    expected.replace(offset, size, bytes);
  }
  void read(std::uint64_t offset, std::size_t size) {
    auto wanted = offset < expected.size() ? expected.substr(offset, size) : std::string();
    ASSERT_TRUE(a.read(handles[rng.below(2)], offset, size) == wanted);
    ASSERT_EQ(a.attr(ino).size(), expected.size());
  }
  void flush() { a.flush(handles[rng.below(2)]); }
  void truncate(std::uint64_t size) {
    ASSERT_TRUE(a.resize(ino, size));
    expected.resize(size);
  }
  void reopen() {
    auto& handle = handles[rng.below(2)];
    a.close(handle);
    handle = a.open(ino);
  }
  void read_by_the_other() {
    flush();
    ASSERT_TRUE(b.load(ino) == expected);
  }
  void play(std::uint64_t size_max, int steps) {
    for (int i = 0; i < steps && !HasFailure(); ++i) {
      SCOPED_TRACE(i);
      step(size_max);
    }
    for (auto handle : handles) a.close(handle);
    EXPECT_TRUE(b.load(ino) == expected);
  }

  Rng rng{GetParam()};
  Ino ino = a.make_file(root, "f").ino();
  Handle handles[2] = {a.open(ino), a.open(ino)};
  std::string expected;
};

TEST_P(RandomFile, AroundTheSizeOfARecord) {
  play(8192, 400);
}
TEST_P(RandomFile, OfSomeBlocks) {
  play(6 * kMiB, 120);
}
INSTANTIATE_TEST_SUITE_P(Seeds, RandomFile, ::testing::Range<std::uint64_t>(1, 9));
}  // namespace

}  // namespace chordfs
