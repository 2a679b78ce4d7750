#include "tools/sim/rng.h"

#include <gtest/gtest.h>

namespace chordfs {

TEST(Rng, GivesTheSameNumbersOnEveryMachine) {
  Rng rng(42);
  EXPECT_EQ(rng.next(), 0x15780b2e0c2ec716u);  // Reference implementation, splitmix64(42).
  EXPECT_EQ(rng.next(), 0x6104d9866d113a7eu);
}

TEST(Rng, DerivedStreamsDiffer) {
  EXPECT_NE(Rng::derived(1, "a").next(), Rng::derived(1, "b").next());
  EXPECT_NE(Rng::derived(1, "a", 0).next(), Rng::derived(1, "a", 1).next());
  EXPECT_NE(Rng::derived(1, "a").next(), Rng::derived(2, "a").next());
  EXPECT_EQ(Rng::derived(1, "a").next(), Rng::derived(1, "a").next());
}

TEST(Rng, ExponentialHasItsMean) {
  Rng rng(7);
  Duration sum{};
  for (int i = 0; i < 100'000; ++i) sum += rng.exponential(1ms);
  EXPECT_NEAR(static_cast<double>((sum / 100'000).count()), 1e6, 2e4);
}

TEST(Rng, BetweenKeepsItsBounds) {
  Rng rng(7);
  for (int i = 0; i < 1000; ++i) {
    const auto drawn = rng.between(5ns, 7ns);
    EXPECT_TRUE(drawn >= 5ns && drawn <= 7ns);
  }
}

TEST(Rng, NoChanceDrawsNothing) {
  Rng a(7), b(7);
  EXPECT_FALSE(a.chance(0));
  EXPECT_EQ(a.next(), b.next());
}

}  // namespace chordfs
