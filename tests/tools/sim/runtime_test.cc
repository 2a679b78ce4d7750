#include "tools/sim/runtime.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "tests/tools/sim/ping.h"

namespace chordfs {

namespace {
SimHost& add_host_with_rate(World& world, double rate) {
  auto& host =
      world.add_host({.clock_rate = rate, .program = [](Runtime&, Transport&) { return std::make_unique<Program>(); }});
  host.start();
  return host;
}
}  // namespace

TEST(SimClock, NeverStrikesEarly) {
  for (std::int64_t rate : {800'000, 999'999, 1'000'000, 1'000'001, 1'250'000}) {
    const SimClock clock{rate, 12345s};
    for (std::int64_t i = 0; i < 1000; ++i) {
      const Time host(12345s + Duration(i * 7919));
      EXPECT_GE(clock.to_host(clock.to_world(host)), host);
      if (clock.to_world(host) > Time{}) EXPECT_LT(clock.to_host(clock.to_world(host) - 1ns), host);
    }
  }
}

TEST(SimClock, TheEndOfTimeDoesNotOverflow) {
  const SimClock clock{800'000, 1h};
  EXPECT_GT(clock.to_world(Time::max()), Time(1h));
}

TEST(SimRuntime, EqualTimesFireInOrderOfScheduling) {
  std::string seen;
  World world(1);
  auto& runtime = add_host_with_rate(world, 0.9).runtime();
  const Time when = runtime.now() + 5ms;
  for (char c : {'a', 'b', 'c'}) runtime.schedule(when, [&seen, c] { seen += c; });
  runtime.schedule(when - 1ms, [&seen] { seen += '0'; });
  runtime.cancel(runtime.schedule(when, [&seen] { seen += 'x'; }));
  world.run_for(10ms);
  EXPECT_EQ(seen, "0abc");
}

TEST(SimRuntime, ClocksOfHostsDifferInRateAndOffset) {
  World world(1);
  auto& slow = add_host_with_rate(world, 0.8).runtime();
  auto& fast = add_host_with_rate(world, 1.25).runtime();
  const auto slow_start = slow.now(), fast_start = fast.now();
  EXPECT_NE(slow_start, fast_start);
  world.run_for(100s);
  EXPECT_EQ(slow.now() - slow_start, 80s);
  EXPECT_EQ(fast.now() - fast_start, 125s);
}

TEST(SimRuntime, SleepLastsByTheHostsClock) {
  World world(1);
  auto& runtime = add_host_with_rate(world, 0.8).runtime();
  world.run(runtime.sleep(8s));
  EXPECT_EQ(world.elapsed(), 10s);
}

TEST(SimRuntime, WallClockMayBeWrong) {
  World world(1);
  auto& host = add_host_with_rate(world, 1);
  const auto before = host.runtime().wall_now();
  host.set_wall_error(-1h);
  EXPECT_EQ(host.runtime().wall_now(), before - Duration(1h).count());
}

TEST(SimRuntime, ChanceIsAFunctionOfSeedHostAndIncarnation) {
  auto draw = [](std::uint64_t seed, bool again) {
    World world(seed);
    auto& host = add_host_with_rate(world, 1);
    if (again) {
      host.crash();
      host.start();
    }
    return std::tuple(host.runtime().random(), add_host_with_rate(world, 1).runtime().random());
  };
  EXPECT_EQ(draw(1, false), draw(1, false));
  EXPECT_NE(std::get<0>(draw(1, false)), std::get<0>(draw(2, false)));
  EXPECT_NE(std::get<0>(draw(1, false)), std::get<0>(draw(1, true)));
  EXPECT_EQ(std::get<1>(draw(1, false)), std::get<1>(draw(1, true)));
  EXPECT_NE(std::get<0>(draw(1, false)), std::get<1>(draw(1, false)));
}

TEST(World, RunReturnsTheValue) {
  World world(1);
  auto answer = [](Runtime& runtime) -> awaitable<int> {
    co_await runtime.sleep(3s);
    co_return 42;
  };
  EXPECT_EQ(world.run(answer(world.runtime())), 42);
  EXPECT_EQ(world.elapsed(), 3s);
}

TEST(World, RunThrowsWhatTheCoroutineThrows) {
  World world(1);
  auto fail = []() -> awaitable<void> {
    throw std::invalid_argument("no");
    co_return;
  };
  EXPECT_THROW(world.run(fail()), std::invalid_argument);
}

TEST(World, RunGivesUpAtItsLimit) {
  World world(1);
  EXPECT_THROW(world.run(world.runtime().sleep(10s), 5s), World::TimedOut);
  EXPECT_EQ(world.elapsed(), 5s);
}

TEST(World, RunSeesThatNothingCanHappen) {
  Signal never;
  World world(1);
  EXPECT_THROW(world.run(never.wait(), 1s), World::TimedOut);
}

TEST(World, RunUntilStopsAtTheStepThatSatisfies) {
  bool done = false;
  World world(1);
  world.after(2s, [&] { done = true; });
  world.after(3s, [] { FAIL(); });
  EXPECT_TRUE(world.run_until([&] { return done; }, 10s));
  EXPECT_EQ(world.elapsed(), 2s);
}

TEST(World, LooksAfterEveryStep) {
  int looks = 0;
  World world(1);
  world.after_step([&] { ++looks; });
  for (int i = 1; i <= 5; ++i) world.after(Duration(i), [] {});
  world.run_for(1s);
  EXPECT_EQ(looks, 5);
  EXPECT_EQ(world.steps(), 5u);
}

}  // namespace chordfs
