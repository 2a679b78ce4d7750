#include "tools/cli/fingers.h"

#include <gtest/gtest.h>

namespace chordfs::cli {
namespace {

Position position(std::uint64_t top) {
  return {.id = Id::from_top(top), .node = Uuid(1, top + 1), .index = 0, .at = {"127.0.0.1", 6000}};
}

TEST(FingerSpans, AloneEveryPowerLeadsToItself) {
  auto self = position(0);
  auto all = spans(self, {self}, {});
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].first, 0);
  EXPECT_EQ(all[0].last, Id::kBits - 1);
  EXPECT_EQ(all[0].position, self);
}

TEST(FingerSpans, EachPowerLeadsToItsSuccessor) {
  auto self = position(0), near = position(1), half = position(std::uint64_t{1} << 63);
  auto all = spans(self, {near}, {half});
  ASSERT_EQ(all.size(), 2U);
  // 2^96 is identifier `near`, 2^159 is `half`; what is between leads to `half`.
  EXPECT_EQ(all[0].position, near);
  EXPECT_EQ(all[0].last, 96);
  EXPECT_EQ(all[1].position, half);
  EXPECT_EQ(all[1].first, 97);
  EXPECT_EQ(all[1].last, 159);
}

TEST(FingerSpans, CoverEveryPowerOnce) {
  auto all = spans(position(7), {position(9), position(1000)}, {position(std::uint64_t{1} << 40), position(3)});
  int next = 0;
  for (const auto& finger : all) {
    EXPECT_EQ(finger.first, next);
    next = finger.last + 1;
  }
  EXPECT_EQ(next, Id::kBits);
}

}  // namespace
}  // namespace chordfs::cli
