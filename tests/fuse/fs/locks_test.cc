// Locks of programs on two mounts, and what is seen under them; without the leader's part (LocalClient has none).
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/fuse/fs/mounts.h"

namespace chordfs {

class Locks : public FileSystemTest {
 protected:
  void SetUp() override {
    a.save(root, "file", "old");
    a.save(root, "other", "x");
    ino = a.ino(root, "file");
    in_a = a.open(ino);
    in_b = b.open(ino);
  }
  void TearDown() override {
    calls_.stop();
    world.run(calls_.join());
    a.close(in_a);
    b.close(in_b);
    FileSystemTest::TearDown();
  }
  static wire::FileLock lock(wire::FileLock::Type type, std::uint64_t start = 0, std::uint64_t end = 99,
                             std::uint64_t owner = 1) {
    wire::FileLock lock;
    lock.set_type(type);
    lock.set_start(start);
    lock.set_end(end);
    lock.set_owner(owner);
    return lock;
  }
  static Errc set(Mount& mount, Handle handle, wire::FileLock lock) {
    return mount.run(mount.files().lock(handle, std::move(lock), nullptr)).code();
  }
  /// A call that waits, under way while the test goes on.
  struct Call {
    std::shared_ptr<Interruption> interruption = std::make_shared<Interruption>();
    std::optional<Errc> ended;
  };
  static awaitable<void> wait_for(Mount& mount, Handle handle, wire::FileLock lock, std::shared_ptr<Call> call) {
    auto done = co_await mount.files().lock(handle, std::move(lock), call->interruption);
    call->ended = done.code();
  }
  std::shared_ptr<Call> begin(Mount& mount, Handle handle, wire::FileLock lock) {
    auto call = std::make_shared<Call>();
    calls_.spawn("a waiting lock", wait_for(mount, handle, std::move(lock), call));
    world.run_for(300ms);
    return call;
  }
  bool ends(const std::shared_ptr<Call>& call, Duration within = 5s) {
    return world.run_until([&] { return call->ended.has_value(); }, within);
  }

  static constexpr auto kRead = wire::FileLock::SHARED;
  static constexpr auto kWrite = wire::FileLock::EXCLUSIVE;
  static constexpr auto kNone = wire::FileLock::NONE;
  Ino ino = 0;
  Handle in_a = 0, in_b = 0;
  TaskGroup calls_{world.runtime()};
};

TEST_F(Locks, AreSeenByTheOtherMount) {
  EXPECT_EQ(set(a, in_a, lock(kWrite, 10, 19)), Errc::ok);
  EXPECT_EQ(set(b, in_b, lock(kRead, 0, 10)), Errc::would_block);
  auto found = b.run(b.files().test_lock(in_b, lock(kRead, 0, 10)));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->start(), 10U);
  EXPECT_EQ((*found)->type(), kWrite);
  EXPECT_EQ(set(a, in_a, lock(kNone)), Errc::ok);
  EXPECT_EQ(set(b, in_b, lock(kRead, 0, 10)), Errc::ok);
}

TEST_F(Locks, CloseTakesTheLocksOfTheProcess) {
  EXPECT_EQ(set(a, in_a, lock(kWrite)), Errc::ok);
  auto again = a.open(ino);
  ASSERT_TRUE(a.run(a.files().close(again, 2)));
  EXPECT_EQ(set(b, in_b, lock(kWrite)), Errc::would_block) << "another process has closed it";
  ASSERT_TRUE(a.run(a.files().close(again, 1)));
  EXPECT_EQ(set(b, in_b, lock(kWrite)), Errc::ok) << "also through another descriptor";
  a.run(a.files().release(again));
}

TEST_F(Locks, TheLastCloseTakesThoseOfTheOpenFileDescription) {
  auto whole = lock(kWrite);
  whole.set_kind(wire::FileLock::FLOCK);
  auto again = a.open(ino);
  EXPECT_EQ(set(a, again, whole), Errc::ok);
  ASSERT_TRUE(a.run(a.files().close(again, 1)));
  EXPECT_EQ(set(b, in_b, whole), Errc::would_block);
  a.run(a.files().release(again));
  EXPECT_EQ(set(b, in_b, whole), Errc::ok);
}

TEST_F(Locks, LateReleaseOfOneHandleLeavesWhatWasLockedThroughAnother) {
  auto first = a.open(ino), second = a.open(ino);
  EXPECT_EQ(set(a, first, lock(kWrite)), Errc::ok);
  ASSERT_TRUE(a.run(a.files().close(first, 1)));
  EXPECT_EQ(set(a, second, lock(kWrite)), Errc::ok);
  a.run(a.files().release(first));
  EXPECT_EQ(set(b, in_b, lock(kWrite)), Errc::would_block);
  a.close(second);
  a.run(a.files().release(second));
}

TEST_F(Locks, WhatWasWrittenUnderALockIsSeenUnderTheNext) {
  EXPECT_EQ(b.read(in_b, 0, 9), "old");
  EXPECT_EQ(set(a, in_a, lock(kWrite)), Errc::ok);
  a.write(in_a, 0, "new, longer");
  EXPECT_EQ(set(a, in_a, lock(kNone)), Errc::ok);
  auto locked = b.run(b.files().lock(in_b, lock(kWrite), nullptr));
  ASSERT_TRUE(locked);
  EXPECT_TRUE(*locked) << "pages outside are old";
  EXPECT_EQ(b.read(in_b, 0, 99), "new, longer");
  b.write(in_b, 0, "NEW");
  EXPECT_EQ(set(b, in_b, lock(kNone)), Errc::ok);
  EXPECT_EQ(set(a, in_a, lock(kRead)), Errc::ok);
  EXPECT_EQ(a.read(in_a, 0, 99), "NEW, longer");
}

TEST_F(Locks, PagesStayWhereNobodyElseWrote) {
  ASSERT_TRUE(a.run(a.files().lock(in_a, lock(kWrite), nullptr)));
  a.write(in_a, 0, "mine");
  EXPECT_EQ(set(a, in_a, lock(kNone)), Errc::ok);
  auto again = a.run(a.files().lock(in_a, lock(kWrite), nullptr));
  ASSERT_TRUE(again);
  EXPECT_FALSE(*again);
}

TEST_F(Locks, AWaiterGetsItWhenItIsFree) {
  EXPECT_EQ(set(a, in_a, lock(kWrite)), Errc::ok);
  auto call = begin(b, in_b, lock(kWrite));
  EXPECT_FALSE(call->ended);
  EXPECT_EQ(set(a, in_a, lock(kNone)), Errc::ok);
  ASSERT_TRUE(ends(call));
  EXPECT_EQ(*call->ended, Errc::ok);
}

TEST_F(Locks, ASignalEndsTheWait) {
  EXPECT_EQ(set(a, in_a, lock(kWrite)), Errc::ok);
  auto call = begin(b, in_b, lock(kWrite));
  EXPECT_FALSE(call->ended);
  call->interruption->request();
  ASSERT_TRUE(ends(call, 1s));
  EXPECT_EQ(*call->ended, Errc::interrupted);
  EXPECT_EQ(set(a, in_a, lock(kNone)), Errc::ok);
  EXPECT_EQ(set(a, in_a, lock(kWrite)), Errc::ok) << "who was interrupted must not have it";
}

TEST_F(Locks, ACircleOfTwoMountsIsADeadlock) {
  auto other_a = a.open(a.ino(root, "other")), other_b = b.open(b.ino(root, "other"));
  EXPECT_EQ(set(a, in_a, lock(kWrite)), Errc::ok);
  EXPECT_EQ(set(b, other_b, lock(kWrite)), Errc::ok);
  auto first = begin(a, other_a, lock(kWrite));
  world.run_for(1s);
  EXPECT_FALSE(first->ended) << "no circle yet";
  auto second = begin(b, in_b, lock(kWrite));
  ASSERT_TRUE(ends(second, 3s));
  EXPECT_EQ(*second->ended, Errc::deadlock);
  EXPECT_FALSE(first->ended);
  EXPECT_EQ(set(b, other_b, lock(kNone)), Errc::ok);
  ASSERT_TRUE(ends(first));
  EXPECT_EQ(*first->ended, Errc::ok);
  a.close(other_a);
  b.close(other_b);
}

TEST_F(Locks, TwoThatConvertAFlockDoNotWaitForEver) {
  auto shared = lock(kRead), exclusive = lock(kWrite);
  shared.set_kind(wire::FileLock::FLOCK);
  exclusive.set_kind(wire::FileLock::FLOCK);
  EXPECT_EQ(set(a, in_a, shared), Errc::ok);
  EXPECT_EQ(set(b, in_b, shared), Errc::ok);
  auto first = begin(a, in_a, exclusive);
  EXPECT_FALSE(first->ended);
  EXPECT_EQ(set(b, in_b, exclusive), Errc::ok) << "the other has given its own up";
  auto none = lock(kNone);
  none.set_kind(wire::FileLock::FLOCK);
  EXPECT_EQ(set(b, in_b, none), Errc::ok);
  ASSERT_TRUE(ends(first));
}

TEST_F(Locks, WhoLostItsSessionLearnsIt) {
  EXPECT_EQ(set(a, in_a, lock(kWrite)), Errc::ok);
  ring.expire(a.client().session());
  EXPECT_EQ(set(b, in_b, lock(kWrite)), Errc::ok);
  b.write(in_b, 0, "new");
  b.flush(in_b);
  EXPECT_EQ(a.run(a.files().read(in_a, 0, 9)).code(), Errc::io_error);
  EXPECT_EQ(a.run(a.files().write(in_a, 0, Bytes::copy("behind"))).code(), Errc::io_error);
  EXPECT_EQ(set(a, in_a, lock(kNone)), Errc::io_error);
  EXPECT_EQ(b.load(ino), "new");
  a.run(a.files().release(in_a));
  in_a = a.open(ino);
  EXPECT_EQ(set(a, in_a, lock(kRead)), Errc::would_block) << "a new handle is as good as any";
}

TEST_F(Locks, WhoOnlyWaitsGetsItInTheNewSession) {
  EXPECT_EQ(set(b, in_b, lock(kWrite)), Errc::ok);
  auto call = begin(a, in_a, lock(kWrite));
  ring.expire(a.client().session());
  EXPECT_EQ(set(b, in_b, lock(kNone)), Errc::ok);
  ASSERT_TRUE(ends(call));
  EXPECT_EQ(*call->ended, Errc::ok);
  EXPECT_EQ(set(b, in_b, lock(kWrite)), Errc::would_block);
  EXPECT_EQ(set(a, in_a, lock(kNone)), Errc::ok);
  EXPECT_EQ(set(b, in_b, lock(kWrite)), Errc::ok);
}

TEST_F(Locks, AppendsOfTwoMountsDoNotMeet) {
  for (int round = 0; round < 50; ++round) {
    ASSERT_TRUE(a.run(a.files().append(in_a, 0, Bytes::copy(std::string(100, 'a')))));
    ASSERT_TRUE(b.run(b.files().append(in_b, 0, Bytes::copy(std::string(100, 'b')))));
    if (round % 7 == 0) a.flush(in_a);
    if (round % 5 == 0) b.flush(in_b);
  }
  a.flush(in_a);
  b.flush(in_b);
  auto contents = a.load(ino);
  EXPECT_EQ(contents.size(), 3 + 100 * 100U);
  EXPECT_EQ(std::ranges::count(contents, 'a'), 5000);
  EXPECT_EQ(std::ranges::count(contents, 'b'), 5000);
  EXPECT_EQ(b.load(ino), contents);
}

TEST_F(Locks, AppendsAndOtherWritesOfOneMount) {
  a.write(in_a, 0, "OLD");
  ASSERT_TRUE(a.run(a.files().append(in_a, 3, Bytes::copy("456"))));
  a.write(in_a, 1, "1");
  ASSERT_TRUE(a.run(a.files().append(in_a, 6, Bytes::copy("789"))));
  EXPECT_EQ(a.read(in_a, 0, 99), "O1D456789");
  a.flush(in_a);
  EXPECT_EQ(b.load(ino), "O1D456789");
}

}  // namespace chordfs
