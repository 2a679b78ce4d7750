#include <gtest/gtest.h>

#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

class Housekeeping : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(world.refused({create(10), insert(kRootIno, "f", 10)}), Errc::ok); }
  void TearDown() override { EXPECT_EQ(world.broken(), ""); }
  wire::Answer remove_file() { return world.execute({remove(kRootIno, "f", 10), unlink(10)}); }
  wire::Answer clear_outbox() {
    wire::Operation operation;
    for (const auto& entry : world.outbox().outbox())
      if (entry.seq() != 0) operation.mutable_clear_outbox()->add_seqs(entry.seq());
    return world.apply(0, operation);
  }
  World world;
};

TEST_F(Housekeeping, AnUnlinkedFileIsListedUntilItIsPurged) {
  EXPECT_TRUE(remove_file().pending_outbox());
  ASSERT_EQ(world.outbox().outbox_size(), 1);
  EXPECT_EQ(world.outbox().outbox(0).orphan(), 10U);
  auto purged = world.purge(10);
  EXPECT_EQ(error_of(purged), Errc::ok);
  EXPECT_FALSE(purged.pending_outbox());
  EXPECT_EQ(error_of(world.get_inode(10)), Errc::bad_handle);
  EXPECT_EQ(error_of(world.purge(10)), Errc::not_found);
}

TEST_F(Housekeeping, WhatHasANameIsNotPurged) {
  EXPECT_EQ(error_of(world.purge(10)), Errc::not_found);
}

TEST_F(Housekeeping, PurgeHandsOverTheBlocks) {
  ASSERT_EQ(world.refused({write_extents(10, {extent(0, 10, 1), extent(10, 10, 2)})}), Errc::ok);
  remove_file();
  EXPECT_TRUE(world.purge(10).pending_outbox());
  ASSERT_EQ(world.outbox().outbox_size(), 2);
  EXPECT_EQ(world.outbox().outbox(0).block(), block(1, 10));
  EXPECT_FALSE(clear_outbox().pending_outbox());
  EXPECT_EQ(world.outbox().outbox_size(), 0);
}

TEST_F(Housekeeping, SequenceNumbersOfTheOutboxAreNotUsedTwice) {
  ASSERT_EQ(world.refused({write_extents(10, {extent(0, 10, 1)}), resize(10, 0)}), Errc::ok);
  auto seq = world.outbox().outbox(0).seq();
  clear_outbox();
  ASSERT_EQ(world.refused({write_extents(10, {extent(0, 10, 2)}), resize(10, 0)}), Errc::ok);
  EXPECT_GT(world.outbox().outbox(0).seq(), seq);
}

TEST_F(Housekeeping, AFileOfVeryManyExtentsGoesInSeveralPurges) {
  constexpr std::uint64_t kExtents = 25'000, kPerCommit = 5'000;
  for (std::uint64_t i = 0; i < kExtents; i += kPerCommit) {
    std::vector<wire::Extent> extents;
    for (auto j = i; j < i + kPerCommit; ++j) extents.push_back(extent(2 * j, 1, j));
    ASSERT_EQ(world.refused({write_extents(10, std::move(extents))}), Errc::ok);
  }
  EXPECT_FALSE(world.read_map(10).end());
  remove_file();
  EXPECT_EQ(error_of(world.purge(10)), Errc::ok);
  EXPECT_EQ(world.attr(10).allocated(), kExtents - 10'000);
  EXPECT_EQ(error_of(world.purge(10)), Errc::ok);
  EXPECT_EQ(error_of(world.get_inode(10)), Errc::ok);
  EXPECT_EQ(error_of(world.purge(10)), Errc::ok);
  EXPECT_EQ(error_of(world.get_inode(10)), Errc::bad_handle);
}

}  // namespace chordfs::tree_test
