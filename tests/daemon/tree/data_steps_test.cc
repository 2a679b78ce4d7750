#include <fmt/format.h>
#include <gtest/gtest.h>

#include "proto/wire/acl.h"
#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

class DataSteps : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(world.refused({create(10), insert(kRootIno, "f", 10)}), Errc::ok); }
  void TearDown() override { EXPECT_EQ(world.broken(), ""); }

  /// "[0,4)=1+0 [4,8)=2+0": offset, end, block, offset in the block.
  std::string map(std::uint64_t offset = 0, std::uint64_t length = kFileBytesMax) {
    std::string text;
    for (const auto& one : world.read_map(10, offset, length).extents())
      text += fmt::format("[{},{})={}+{} ", one.offset(), one.offset() + one.length(),
                          static_cast<int>(one.block().back()), one.block_offset());
    return text;
  }
  std::string discarded() {
    std::string text;
    for (const auto& one : world.outbox().outbox())
      if (!one.block().empty()) text += fmt::format("{} ", static_cast<int>(one.block().back()));
    return text;
  }
  std::string inline_data() { return world.get_inode(10, true).inode().inline_data(); }
  World world;
};

TEST_F(DataSteps, PiecesBuildUpContentsWithZerosBetween) {
  ASSERT_EQ(world.refused({write_piece(10, 0, "ab"), write_piece(10, 4, "cd"), write_piece(10, 1, "X")}), Errc::ok);
  EXPECT_EQ(inline_data(), std::string("aX\0\0cd", 6));
  EXPECT_EQ(world.attr(10).size(), 6U);
  EXPECT_EQ(world.attr(10).allocated(), 6U);
}

TEST_F(DataSteps, PiecesBelongIntoTheFirst4096Bytes) {
  EXPECT_EQ(world.refused({write_piece(10, 4095, "ab")}), Errc::stale);
  EXPECT_EQ(world.refused({write_piece(10, 4095, "a")}), Errc::ok);
  EXPECT_EQ(world.refused({write_piece(10, ~0ULL, "a")}), Errc::stale);
}

TEST_F(DataSteps, PiecesAreStaleOnceThereAreExtents) {
  ASSERT_EQ(world.refused({write_extents(10, {extent(0, 100, 1)})}), Errc::ok);
  EXPECT_EQ(world.refused({write_piece(10, 0, "a")}), Errc::stale);
}

TEST_F(DataSteps, ExtentsMustCoverContentsInTheRecord) {
  ASSERT_EQ(world.refused({write_piece(10, 0, std::string(100, 'a'))}), Errc::ok);
  EXPECT_EQ(world.refused({write_extents(10, {extent(50, 100, 1)})}), Errc::stale);
  EXPECT_EQ(world.refused({write_extents(10, {extent(60, 40, 1), extent(0, 59, 2)})}), Errc::stale);
  ASSERT_EQ(world.refused({write_extents(10, {extent(60, 40, 1), extent(0, 60, 2)})}), Errc::ok);
  EXPECT_EQ(inline_data(), "");
  EXPECT_EQ(map(), "[0,60)=2+0 [60,100)=1+0 ");
}

TEST_F(DataSteps, NewExtentTrimsSplitsAndRemovesWhatItOverlaps) {
  ASSERT_EQ(world.refused({write_extents(10, {extent(0, 10, 1), extent(10, 10, 2), extent(20, 10, 3)})}), Errc::ok);
  ASSERT_EQ(world.refused({write_extents(10, {extent(5, 18, 4)})}), Errc::ok);
  EXPECT_EQ(map(), "[0,5)=1+0 [5,23)=4+0 [23,30)=3+3 ");
  EXPECT_EQ(discarded(), "2 ");
  ASSERT_EQ(world.refused({write_extents(10, {extent(10, 2, 5)})}), Errc::ok);
  EXPECT_EQ(map(), "[0,5)=1+0 [5,10)=4+0 [10,12)=5+0 [12,23)=4+7 [23,30)=3+3 ");
  EXPECT_EQ(map(11, 3), "[11,12)=5+1 [12,14)=4+7 ");
}

TEST_F(DataSteps, ABlockGoesWhenItsLastExtentGoes) {
  ASSERT_EQ(world.refused({write_extents(10, {extent(0, 30, 1)})}), Errc::ok);
  ASSERT_EQ(world.refused({write_extents(10, {extent(10, 10, 2)})}), Errc::ok);
  ASSERT_EQ(world.refused({write_extents(10, {extent(0, 10, 3)})}), Errc::ok);
  EXPECT_EQ(discarded(), "");
  ASSERT_EQ(world.refused({write_extents(10, {extent(20, 10, 4)})}), Errc::ok);
  EXPECT_EQ(discarded(), "1 ");
}

TEST_F(DataSteps, ABlockOverwrittenInTheSameCommitGoesAtOnce) {
  auto answer = world.execute({write_extents(10, {extent(0, 10, 1), extent(0, 10, 2)})});
  ASSERT_EQ(error_of(answer), Errc::ok);
  EXPECT_TRUE(answer.pending_outbox());
  EXPECT_EQ(map(), "[0,10)=2+0 ");
  EXPECT_EQ(discarded(), "1 ");
}

TEST_F(DataSteps, TruncateCutsAndGrowingLeavesAHole) {
  ASSERT_EQ(world.refused({write_extents(10, {extent(0, 10, 1), extent(10, 10, 2)})}), Errc::ok);
  world.now = 5000;
  ASSERT_EQ(world.refused({resize(10, 5)}), Errc::ok);
  EXPECT_EQ(world.attr(10).mtime(), 5000);
  ASSERT_EQ(world.refused({resize(10, 20)}), Errc::ok);
  EXPECT_EQ(map(), "[0,5)=1+0 ");
  EXPECT_EQ(world.attr(10).size(), 20U);
  EXPECT_EQ(world.attr(10).allocated(), 5U);
  EXPECT_EQ(discarded(), "2 ");
}

TEST_F(DataSteps, TruncateCutsContentsInTheRecord) {
  ASSERT_EQ(world.refused({write_piece(10, 0, "abcdef"), resize(10, 3), resize(10, 100)}), Errc::ok);
  EXPECT_EQ(inline_data(), "abc");
  ASSERT_EQ(world.refused({resize(10, 0)}), Errc::ok);
  EXPECT_TRUE(world.get_inode(10, true).has_inline());
  // Empty again: either way of writing is open.
  EXPECT_EQ(world.refused({write_extents(10, {extent(0, 1, 1)})}), Errc::ok);
}

TEST_F(DataSteps, SizeAtLeastAloneDecidesTheSize) {
  auto step = write_extents(10, {extent(0, 10, 1), extent(100, 10, 2)});
  step.mutable_commit()->set_size_at_least(7);
  ASSERT_EQ(world.refused({step}), Errc::ok);
  EXPECT_EQ(map(), "[0,7)=1+0 ");
  EXPECT_EQ(world.attr(10).size(), 7U);
  EXPECT_EQ(discarded(), "2 ");
}

TEST_F(DataSteps, ExtentsAreChecked) {
  auto bad_block = extent(0, 10, 1);
  bad_block.set_block("short");
  auto beyond_block = extent(0, 10, 1);
  beyond_block.set_block_length(9);
  auto wraps = extent(0, 10, 1);
  wraps.set_block_offset(~0U);
  for (const auto& one : {extent(0, 0, 1), bad_block, beyond_block, wraps})
    EXPECT_EQ(world.refused({write_extents(10, {one})}), Errc::invalid);
  EXPECT_EQ(world.refused({write_extents(10, {extent(kFileBytesMax, 1, 1)})}), Errc::file_too_large);
  EXPECT_EQ(world.refused({write_extents(10, {extent(kFileBytesMax - 1, 1, 1)})}), Errc::ok);
}

TEST_F(DataSteps, CommitSetsTimesAndClearsSetId) {
  ASSERT_EQ(world.refused({chmod(10, 06755)}), Errc::ok);
  world.now = 6000;
  auto step = write_piece(10, 0, "a");
  step.mutable_commit()->set_clear_set_id(true);
  step.mutable_commit()->set_mtime(5999);
  ASSERT_EQ(world.refused({step}), Errc::ok);
  auto attr = world.attr(10);
  EXPECT_EQ(attr.mode(), 0755U);
  EXPECT_EQ(attr.mtime(), 5999);
  EXPECT_EQ(attr.ctime(), 6000);
  ASSERT_EQ(world.refused({chmod(10, 06745)}), Errc::ok);
  ASSERT_EQ(world.refused({step}), Errc::ok);
  EXPECT_EQ(world.attr(10).mode(), 02745U) << "S_ISGID without group execution is no set-id bit";
}

TEST_F(DataSteps, AHoleCutsExtentsAndLeavesTheSize) {
  ASSERT_EQ(world.refused({write_extents(10, {extent(0, 10, 1), extent(10, 10, 2)})}), Errc::ok);
  world.now = 5000;
  ASSERT_EQ(world.refused({make_hole(10, 5, 15)}), Errc::ok);
  EXPECT_EQ(map(), "[0,5)=1+0 [15,20)=2+5 ");
  EXPECT_EQ(world.attr(10).size(), 20U);
  EXPECT_EQ(world.attr(10).allocated(), 10U);
  EXPECT_EQ(world.attr(10).mtime(), 5000);
  ASSERT_EQ(world.refused({make_hole(10, 10, 30)}), Errc::ok);
  EXPECT_EQ(map(), "[0,5)=1+0 ");
  EXPECT_EQ(discarded(), "2 ");
}

TEST_F(DataSteps, AHoleInTheRecordIsZerosOrItsEnd) {
  ASSERT_EQ(world.refused({write_piece(10, 0, "abcdef"), make_hole(10, 1, 3)}), Errc::ok);
  EXPECT_EQ(inline_data(), std::string("a\0\0def", 6));
  ASSERT_EQ(world.refused({make_hole(10, 4, 100)}), Errc::ok);
  EXPECT_EQ(inline_data(), std::string("a\0\0d", 4));
  EXPECT_EQ(world.attr(10).size(), 6U);
  EXPECT_TRUE(world.get_inode(10, true).has_inline());
}

TEST_F(DataSteps, AllocationGrowsTheFileUnlessItIsToKeepItsSize) {
  ASSERT_EQ(world.refused({write_piece(10, 0, "abc")}), Errc::ok);
  auto step = allocate(10, 2, 98);
  step.mutable_allocate()->set_keep_size(true);
  ASSERT_EQ(world.refused({step}), Errc::ok);
  EXPECT_EQ(world.attr(10).size(), 3U);
  ASSERT_EQ(world.refused({allocate(10, 2, 98)}), Errc::ok);
  EXPECT_EQ(world.attr(10).size(), 100U);
  ASSERT_EQ(world.refused({allocate(10, 0, 50)}), Errc::ok);
  EXPECT_EQ(world.attr(10).size(), 100U);
  EXPECT_EQ(inline_data(), "abc");
  EXPECT_EQ(world.refused({allocate(10, 0, 0)}), Errc::invalid);
  EXPECT_EQ(world.refused({allocate(10, kFileBytesMax, 1)}), Errc::file_too_large);
}

TEST_F(DataSteps, ModeAndAccessControlListFollowEachOther) {
  using namespace std::string_literals;
  const auto name = std::string(kAccessAcl);
  const auto list = [](char owner, char mask) {
    return "\2\0\0\0"s + "\1\0"s + owner + "\0\xff\xff\xff\xff\2\0\7\0\1\0\0\0\4\0\5\0\xff\xff\xff\xff\x10\0"s + mask +
           "\0\xff\xff\xff\xff\x20\0\1\0\xff\xff\xff\xff"s;
  };
  ASSERT_EQ(world.refused({chmod(10, 04644), set_xattr(10, name, list(7, 6))}), Errc::ok);
  EXPECT_EQ(world.attr(10).mode(), 04761U);
  EXPECT_TRUE(world.attr(10).acl());
  ASSERT_EQ(world.refused({chmod(10, 0651)}), Errc::ok);
  EXPECT_EQ(world.get_inode(10).inode().xattrs().at(name), list(6, 5));
  EXPECT_EQ(world.refused({set_xattr(10, name, "no list")}), Errc::invalid);
  ASSERT_EQ(world.refused({remove_xattr(10, name), remove_xattr(10, name)}), Errc::ok);
  EXPECT_EQ(world.attr(10).mode(), 0651U);
  EXPECT_FALSE(world.attr(10).acl());
  // No more than nine bits: nothing to keep.
  const auto minimal = "\2\0\0\0\1\0\7\0\xff\xff\xff\xff\4\0\5\0\xff\xff\xff\xff\x20\0\1\0\xff\xff\xff\xff"s;
  ASSERT_EQ(world.refused({set_xattr(10, name, minimal)}), Errc::ok);
  EXPECT_EQ(world.attr(10).mode(), 0751U);
  EXPECT_FALSE(world.attr(10).acl());
}

TEST_F(DataSteps, OnlyRegularFilesHaveContents) {
  EXPECT_EQ(world.refused({write_piece(kRootIno, 0, "a")}), Errc::is_directory);
  ASSERT_EQ(world.refused({create(11, wire::FILE_FIFO), insert(kRootIno, "p", 11, wire::FILE_FIFO)}), Errc::ok);
  EXPECT_EQ(world.refused({write_piece(11, 0, "a")}), Errc::invalid);
  EXPECT_EQ(world.refused({write_piece(99, 0, "a")}), Errc::bad_handle);
}

TEST_F(DataSteps, AnUnlinkedFileMayStillBeWritten) {
  ASSERT_EQ(world.refused({remove(kRootIno, "f", 10), unlink(10)}), Errc::ok);
  EXPECT_EQ(world.refused({write_extents(10, {extent(0, 10, 1)})}), Errc::ok);
  EXPECT_EQ(world.refused({resize(10, 4)}), Errc::ok);
  EXPECT_EQ(map(), "[0,4)=1+0 ");
}

}  // namespace chordfs::tree_test
