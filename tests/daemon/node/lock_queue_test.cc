#include "daemon/node/lock_queue.h"

#include <gtest/gtest.h>

namespace chordfs {

class LockQueues : public ::testing::Test {
 protected:
  static wire::FileLock lock(wire::FileLock::Type type, std::uint64_t session, std::uint64_t owner = 1) {
    wire::FileLock lock;
    lock.set_type(type);
    lock.set_session(session);
    lock.set_owner(owner);
    lock.set_end(9);
    return lock;
  }
  void join(Session session, wire::FileLock::Type type) { queue.join(kFile, {session, 1, lock(type, session)}, now); }
  bool yields(Session session) { return queue.must_yield(kFile, session, 1, now).has_value(); }

  static constexpr std::uint64_t kFile = 10;
  static constexpr auto kRead = wire::FileLock::SHARED;
  static constexpr auto kWrite = wire::FileLock::EXCLUSIVE;
  LockQueue queue;
  Time now{};
};

TEST_F(LockQueues, WhoCameFirstGoesFirst) {
  join(1, kWrite);
  join(2, kWrite);
  EXPECT_FALSE(yields(1));
  EXPECT_TRUE(yields(2));
  queue.leave(kFile, 1, 1);
  EXPECT_FALSE(yields(2));
}

TEST_F(LockQueues, ReadersDoNotYieldToReaders) {
  join(1, kRead);
  join(2, kRead);
  EXPECT_FALSE(yields(2));
}

TEST_F(LockQueues, APlaceIsKeptByAskingAgain) {
  join(1, kWrite);
  join(2, kWrite);
  now += 1s;
  join(1, kWrite);
  EXPECT_TRUE(yields(2));
}

TEST_F(LockQueues, NobodyYieldsForEver) {
  join(1, kWrite);
  join(2, kWrite);
  EXPECT_TRUE(yields(2));
  now += kYieldFor;
  join(1, kWrite);
  EXPECT_FALSE(yields(2));
}

TEST_F(LockQueues, WhoAsksNoMoreHasGone) {
  join(1, kWrite);
  now += kWaiterAge;
  EXPECT_FALSE(queue.is_wanted(kFile, lock(kWrite, 3), now));
  join(2, kWrite);
  EXPECT_FALSE(yields(2));
}

TEST_F(LockQueues, ANewcomerIsInTheWayOfThoseWhoWait) {
  EXPECT_FALSE(queue.is_wanted(kFile, lock(kRead, 3), now));
  join(1, kWrite);
  EXPECT_TRUE(queue.is_wanted(kFile, lock(kRead, 3), now));
  EXPECT_FALSE(queue.is_wanted(kFile + 1, lock(kRead, 3), now));
  EXPECT_FALSE(queue.is_wanted(kFile, lock(kRead, 1), now)) << "its own";
  queue.drop(Session{1});
  EXPECT_TRUE(queue.empty());
}

TEST(LockWaits, AreToldAsLongAsTheyAreRepeated) {
  LockWaits waits;
  wire::LockWait wait;
  wait.set_waiter(7);
  wait.set_age_ms(100);
  wait.mutable_lock()->set_session(1);
  wait.mutable_lock()->set_owner(2);
  Time now{};
  waits.told(wait, now);
  now += 1s;
  ASSERT_EQ(waits.of(1, 2, now).size(), 1U);
  EXPECT_EQ(waits.of(1, 2, now)[0].age_ms(), 1100U);
  EXPECT_TRUE(waits.of(1, 3, now).empty());
  EXPECT_TRUE(waits.of(1, 2, now + kLockWaitAge).empty());
  waits.ended(wait);
  EXPECT_TRUE(waits.of(1, 2, now).empty());
}

}  // namespace chordfs
