// The small pure parts: Lru, ReadAhead.
#include <gtest/gtest.h>

#include "fuse/fs/lru.h"
#include "fuse/fs/read_ahead.h"

namespace chordfs::fs {

namespace {
TEST(Lru, ForgetsWhatWasNotUsedForLongest) {
  Lru<int, int> lru(2);
  lru.put(1, 10);
  lru.put(2, 20);
  EXPECT_EQ(*lru.find(1), 10);
  lru.put(3, 30);
  EXPECT_EQ(lru.find(2), nullptr);
  EXPECT_NE(lru.find(1), nullptr);
}

TEST(Lru, CountsCosts) {
  Lru<int, int> lru(10);
  lru.put(1, 0, 6);
  lru.put(2, 0, 6);
  EXPECT_FALSE(lru.contains(1));
  lru.put(2, 0, 3);
  EXPECT_EQ(lru.cost(), 3);
  lru.put(3, 0, 11);
  EXPECT_EQ(lru.size(), 0);
}

constexpr std::uint64_t kStep = 128 << 10;
constexpr std::uint64_t kLarge = 1 << 30;

TEST(ReadAhead, GrowsWhileTheFileIsReadInOrder) {
  ReadAhead ahead;
  EXPECT_EQ(ahead.read(0, kStep, kLarge).to, 0);
  std::uint64_t reached = 0, tasks = 0;
  for (std::uint64_t at = kStep; at < 64 * kStep; at += kStep) {
    auto advice = ahead.read(at, at + kStep, kLarge);
    EXPECT_TRUE(advice.whole_blocks);
    if (advice.from == advice.to) continue;
    if (reached > 0) EXPECT_EQ(advice.from, reached);
    EXPECT_GE(advice.from, at + kStep);
    EXPECT_LE(advice.to, at + kStep + kReadAheadBytesMax);
    reached = advice.to;
    ++tasks;
  }
  EXPECT_GE(reached, 64 * kStep + kReadAheadBytesMax / 2);
  EXPECT_LT(tasks, 20);
}

TEST(ReadAhead, StaysBackAtRandom) {
  ReadAhead ahead;
  for (std::uint64_t i = 1; i < 20; ++i) {
    auto at = i * 7 % 20 * (50 << 20);
    auto advice = ahead.read(at, at + 4096, kLarge);
    EXPECT_FALSE(advice.whole_blocks);
    EXPECT_EQ(advice.from, advice.to);
  }
}

TEST(ReadAhead, StopsAtTheEnd) {
  ReadAhead ahead;
  ahead.read(0, kStep, 3 * kStep);
  auto advice = ahead.read(kStep, 2 * kStep, 3 * kStep);
  EXPECT_EQ(advice.from, 2 * kStep);
  EXPECT_EQ(advice.to, 3 * kStep);
}
}  // namespace

}  // namespace chordfs::fs
