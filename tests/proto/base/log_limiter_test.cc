#include "proto/base/log_limiter.h"

#include <gtest/gtest.h>

namespace chordfs {
namespace {

const Time kStart{1h};

/// How many of so many lines at one moment are let through.
int admitted(LogLimiter& limiter, std::string_view kind, Time now, int lines) {
  int count = 0;
  for (int i = 0; i < lines; ++i) count += limiter.admit(kind, now).has_value() ? 1 : 0;
  return count;
}

TEST(LogLimiter, FirstFewAreWritten) {
  LogLimiter limiter(3, 10s);
  EXPECT_EQ(admitted(limiter, "garbage", kStart, 10'000), 3);
}

TEST(LogLimiter, OneKindDoesNotDrownAnother) {
  LogLimiter limiter(3, 10s);
  admitted(limiter, "garbage", kStart, 10'000);
  EXPECT_EQ(admitted(limiter, "slow", kStart, 10), 3);
}

TEST(LogLimiter, TimeEarnsALineThatSaysHowManyWereLeftOut) {
  LogLimiter limiter(3, 10s);
  admitted(limiter, "garbage", kStart, 100);
  EXPECT_FALSE(limiter.admit("garbage", kStart + 9s));
  EXPECT_EQ(limiter.admit("garbage", kStart + 10s), 98U);
  EXPECT_FALSE(limiter.admit("garbage", kStart + 10s));
}

TEST(LogLimiter, LeftOutAreCountedOnce) {
  LogLimiter limiter(1, 10s);
  admitted(limiter, "garbage", kStart, 5);
  EXPECT_EQ(limiter.admit("garbage", kStart + 10s), 4U);
  EXPECT_EQ(limiter.admit("garbage", kStart + 20s), 0U);
}

TEST(LogLimiter, RestDoesNotEarnMoreThanTheFirstFew) {
  LogLimiter limiter(3, 10s);
  admitted(limiter, "garbage", kStart, 3);
  EXPECT_EQ(admitted(limiter, "garbage", kStart + 1000h, 100), 3);
}

TEST(LogLimiter, PartOfAPeriodIsNotLost) {
  LogLimiter limiter(1, 10s);
  admitted(limiter, "garbage", kStart, 1);
  EXPECT_TRUE(limiter.admit("garbage", kStart + 15s));
  EXPECT_TRUE(limiter.admit("garbage", kStart + 20s));
}

}  // namespace
}  // namespace chordfs
