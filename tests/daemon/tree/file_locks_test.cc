// Locks of programs as records: who conflicts, what ends with a session or an inode, and that each is taken once.
#include "daemon/tree/file_locks.h"

#include <gtest/gtest.h>

#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {

class FileLocks : public ::testing::Test {
 protected:
  void SetUp() override {
    one = world.open_session(0);
    two = world.open_session(0);
    ASSERT_EQ(error_of(world.execute({create(10)})), Errc::ok);
  }

  static wire::FileLock lock(wire::FileLock::Type type, std::uint64_t start, std::uint64_t end,
                             std::uint64_t owner = 1) {
    wire::FileLock lock;
    lock.set_type(type);
    lock.set_start(start);
    lock.set_end(end);
    lock.set_owner(owner);
    return lock;
  }
  static wire::Step step(wire::FileLock lock, std::uint64_t ino = 10) {
    wire::Step step;
    step.mutable_set_lock()->set_ino(ino);
    *step.mutable_set_lock()->mutable_lock() = std::move(lock);
    return step;
  }
  Errc set(std::uint64_t session, wire::FileLock lock) {
    return error_of(world.execute(0, {step(std::move(lock))}, identity(session, ++seq)));
  }
  std::vector<wire::FileLock> in_the_way(std::uint64_t session, wire::FileLock wanted) {
    wanted.set_session(session);
    return tree::blockers(world.records(0), 10, wanted);
  }
  std::size_t held() { return in_the_way(99, lock(kWrite, 0, tree::kLockEndMax)).size(); }

  static constexpr auto kRead = wire::FileLock::SHARED;
  static constexpr auto kWrite = wire::FileLock::EXCLUSIVE;
  static constexpr auto kNone = wire::FileLock::NONE;
  World world{1};
  std::uint64_t one = 0, two = 0, seq = 0;
};

TEST_F(FileLocks, ConflictWhereTheyOverlapUnlessBothAreShared) {
  EXPECT_EQ(set(one, lock(kRead, 0, 9)), Errc::ok);
  EXPECT_EQ(set(two, lock(kRead, 5, 14)), Errc::ok);
  EXPECT_EQ(set(two, lock(kWrite, 9, 9)), Errc::would_block);
  EXPECT_EQ(set(two, lock(kWrite, 10, 14)), Errc::ok);
  EXPECT_EQ(set(one, lock(kRead, 10, 10)), Errc::would_block);
  EXPECT_EQ(set(one, lock(kNone, 0, tree::kLockEndMax)), Errc::ok);
  EXPECT_EQ(set(two, lock(kWrite, 0, 9)), Errc::ok);
}

TEST_F(FileLocks, OwnersOfOneSessionConflictAsWell) {
  EXPECT_EQ(set(one, lock(kWrite, 0, 9, 1)), Errc::ok);
  EXPECT_EQ(set(one, lock(kWrite, 0, 9, 2)), Errc::would_block);
  EXPECT_EQ(set(one, lock(kWrite, 0, 9, 1)), Errc::ok);
}

TEST_F(FileLocks, TheTwoKindsDoNotMeet) {
  auto whole = lock(kWrite, 0, tree::kLockEndMax);
  whole.set_kind(wire::FileLock::FLOCK);
  EXPECT_EQ(set(one, lock(kWrite, 0, 9)), Errc::ok);
  EXPECT_EQ(set(two, whole), Errc::ok);
  EXPECT_EQ(set(one, whole), Errc::would_block);
}

TEST_F(FileLocks, WhoIsInTheWayIsTold) {
  EXPECT_EQ(set(one, lock(kRead, 3, 7)), Errc::ok);
  auto found = in_the_way(two, lock(kWrite, 0, 3));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].session(), one);
  EXPECT_EQ(found[0].start(), 3U);
  EXPECT_EQ(found[0].end(), 7U);
  EXPECT_TRUE(in_the_way(one, lock(kWrite, 0, 3)).empty());
}

TEST_F(FileLocks, ARefusedOneChangesNothing) {
  EXPECT_EQ(set(one, lock(kRead, 0, 9)), Errc::ok);
  EXPECT_EQ(set(two, lock(kRead, 0, 9)), Errc::ok);
  EXPECT_EQ(set(one, lock(kWrite, 0, 9)), Errc::would_block);
  EXPECT_EQ(held(), 2U);
}

TEST_F(FileLocks, ARetryIsAnsweredWhatItWasAnswered) {
  auto first = world.execute(0, {step(lock(kWrite, 0, 9))}, identity(one, 50));
  EXPECT_EQ(error_of(first), Errc::ok);
  seq = 60;
  EXPECT_EQ(set(one, lock(kNone, 0, 9)), Errc::ok);
  auto again = world.execute(0, {step(lock(kWrite, 0, 9))}, identity(one, 50));
  EXPECT_EQ(error_of(again), Errc::ok);
  EXPECT_EQ(held(), 0U) << "the retry locked again what was unlocked since";
}

TEST_F(FileLocks, YieldingRefusesOnlyWhoHasNothing) {
  auto yielding = step(lock(kWrite, 20, 29));
  yielding.mutable_set_lock()->set_yield(true);
  EXPECT_EQ(error_of(world.execute(0, {yielding}, identity(one, ++seq))), Errc::would_block);
  EXPECT_EQ(set(one, lock(kWrite, 0, 9)), Errc::ok);
  EXPECT_EQ(error_of(world.execute(0, {yielding}, identity(one, ++seq))), Errc::ok);
}

TEST_F(FileLocks, TheSessionsEndDropsThemInItsOwnArc) {
  EXPECT_EQ(set(one, lock(kWrite, 0, 9)), Errc::ok);
  EXPECT_EQ(set(two, lock(kWrite, 10, 19)), Errc::ok);
  wire::Operation close;
  close.mutable_close_session()->set_session(one);
  world.apply(0, close);
  EXPECT_EQ(held(), 1U);
  EXPECT_EQ(set(two, lock(kWrite, 0, 9)), Errc::ok);
  EXPECT_EQ(set(one, lock(kWrite, 30, 39)), Errc::session_closed);
  EXPECT_EQ(world.strange_records(), "");
}

TEST_F(FileLocks, TheFenceDropsThemInAnyOther) {
  auto ino = world.ino(1, 10);
  ASSERT_EQ(error_of(world.execute(1, {create(ino)})), Errc::ok);
  EXPECT_EQ(error_of(world.execute(1, {step(lock(kWrite, 0, 9), ino)}, identity(one, 1))), Errc::ok);
  EXPECT_EQ(error_of(world.execute(1, {step(lock(kWrite, 0, 9), ino)}, identity(two, 1))), Errc::would_block);
  wire::Operation fence;
  fence.mutable_fence_session()->set_session(one);
  world.apply(1, fence);
  EXPECT_EQ(error_of(world.execute(1, {step(lock(kWrite, 0, 9), ino)}, identity(two, 2))), Errc::ok);
  auto write = write_piece(ino, 0, "behind the new holder's back");
  EXPECT_EQ(error_of(world.execute(1, {write}, identity(one, 2))), Errc::session_closed);
}

TEST_F(FileLocks, ThePurgeTakesWhatIsLeft) {
  EXPECT_EQ(set(one, lock(kWrite, 0, 9)), Errc::ok);
  ASSERT_EQ(error_of(world.execute({unlink(10)})), Errc::ok);
  EXPECT_EQ(error_of(world.purge(10)), Errc::ok);
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(set(two, lock(kWrite, 0, 9)), Errc::bad_handle);
}

TEST_F(FileLocks, WhatIsNoLockIsRefused) {
  EXPECT_EQ(set(one, lock(kWrite, 9, 0)), Errc::invalid);
  EXPECT_EQ(set(one, lock(kWrite, 0, tree::kLockEndMax + 1)), Errc::invalid);
  EXPECT_EQ(world.refused({step(lock(kWrite, 0, 9))}), Errc::invalid) << "nobody's lock";
}

TEST_F(FileLocks, TheyAreRecordsThatAnotherNodeTakes) {
  EXPECT_EQ(set(one, lock(kWrite, 0, 9)), Errc::ok);
  EXPECT_EQ(world.strange_records(), "");
}

// ---- Appending ----

TEST_F(FileLocks, AppendedBytesGoWhereTheFileEnds) {
  ASSERT_EQ(world.refused({write_piece(10, 0, "abc")}), Errc::ok);
  auto append = write_piece(10, 3, "XYZ");
  append.mutable_commit()->set_append_at(3);
  ASSERT_EQ(world.refused({append}), Errc::ok);
  ASSERT_EQ(world.refused({append}), Errc::ok) << "believed to be at 3 again, where somebody else has appended";
  EXPECT_EQ(world.read_map(10).inode().inline_data(), "abcXYZXYZ");
  EXPECT_EQ(world.attr(10).size(), 9U);
}

TEST_F(FileLocks, AppendedBeyondTheLastByteThereIs) {
  ASSERT_EQ(world.refused({resize(10, kFileBytesMax - 1)}), Errc::ok);
  auto append = write_piece(10, 0, "XYZ");
  append.mutable_commit()->set_append_at(0);
  EXPECT_EQ(world.refused({append}), Errc::file_too_large);
}

}  // namespace chordfs::tree_test
