#include "tools/sim/chaos.h"

#include <gtest/gtest.h>

#include "tests/tools/sim/ping.h"

namespace chordfs {

namespace {
std::string text_of(const std::vector<Fault>& plan) {
  std::string text;
  for (const auto& fault : plan) text += fault.text() + "\n";
  return text;
}

struct ChaosRun {
  std::uint64_t trace = 0;
  std::size_t struck = 0;
  std::uint64_t answered = 0, stopped = 0, destroyed = 0;
  friend bool operator==(const ChaosRun&, const ChaosRun&) = default;
};

ChaosRun run_chaos(std::uint64_t seed) {
  ChaosRun run;
  PingScore score;
  {
    World world(seed);
    std::vector<Endpoint> peers;
    for (int i = 0; i < 7; ++i) peers.push_back({"10.0.0." + std::to_string(i + 1), 4100});
    const PingOptions pings{.pause = 20ms, .service = 3ms, .peers = peers};
    for (int i = 0; i < 7; ++i) add_ping_host(world, score, pings).start();
    Chaos chaos(world, {}, plan_chaos({}, seed));
    chaos.start();
    EXPECT_TRUE(world.run_until([&] { return chaos.over(); }, 3min));
    chaos.calm();
    world.run_for(2s);
    const auto failed = score.failed;
    world.run_for(10s);
    EXPECT_EQ(score.failed, failed) << "all is well once it is calm";
    for (std::size_t i = 0; i < world.host_count(); ++i) EXPECT_TRUE(world.host(i).alive());
    run = {world.trace_hash(), chaos.struck(), score.answered};
  }
  run.stopped = score.stopped;
  run.destroyed = score.destroyed;
  return run;
}
}  // namespace

TEST(Chaos, PlanIsAFunctionOfTheSeed) {
  EXPECT_EQ(text_of(plan_chaos({}, 1)), text_of(plan_chaos({}, 1)));
  EXPECT_NE(text_of(plan_chaos({}, 1)), text_of(plan_chaos({}, 2)));
}

TEST(Chaos, PlanHasAboutAsManyFaultsAsAskedFor) {
  const auto plan = plan_chaos({.duration = 10min, .per_minute = {{FaultKind::crash, 15}}}, 3);
  EXPECT_NEAR(static_cast<double>(plan.size()), 150, 40);
  EXPECT_TRUE(std::ranges::is_sorted(plan, {}, &Fault::at));
}

TEST(Chaos, SwitchingOneKindOffLeavesTheOthersAlone) {
  auto crashes = [](ChaosOptions options) {
    auto plan = plan_chaos(options, 5);
    std::erase_if(plan, [](const Fault& fault) { return fault.kind != FaultKind::crash; });
    return text_of(plan);
  };
  ChaosOptions fewer;
  fewer.per_minute.erase(FaultKind::partition);
  EXPECT_EQ(crashes({}), crashes(fewer));
}

TEST(Chaos, HostsLiveThroughItAndEveryProgramIsBuried) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto run = run_chaos(seed);
    EXPECT_GT(run.struck, 20u);
    EXPECT_GT(run.answered, 1000u);
    EXPECT_GT(run.destroyed, 10u);
    EXPECT_EQ(run.destroyed, run.stopped);
  }
}

TEST(Chaos, IsDeterministic) {
  EXPECT_EQ(run_chaos(11), run_chaos(11));
}

TEST(Chaos, AsksBeforeItStrikes) {
  PingScore score;
  World world(1);
  for (int i = 0; i < 3; ++i) add_ping_host(world, score).start();
  Chaos chaos(world, {}, plan_chaos({.per_minute = {{FaultKind::crash, 60}}}, 1),
              {.may = [&](const Fault&, SimHost* host) { return host == &world.host(1); }});
  chaos.start();
  world.run_for(2min);
  EXPECT_GT(chaos.struck(), 0u);
  EXPECT_EQ(world.host(0).incarnation(), 1u);
  EXPECT_GT(world.host(1).incarnation(), 3u);
}

TEST(Chaos, PowerLossStrikesAllAndTellsOfIt) {
  PingScore score;
  int told = 0;
  World world(1);
  for (int i = 0; i < 3; ++i) add_ping_host(world, score).start();
  Chaos chaos(world, {}, {{.at = 1s, .kind = FaultKind::power_loss, .lasts = 2s}}, {.lost_power = [&](SimHost& host) {
                ++told;
                EXPECT_FALSE(host.alive());
              }});
  chaos.start();
  world.run_for(2s);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(world.host(i).powered());
  world.run_for(4s);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(world.host(i).incarnation(), 2u);
  EXPECT_EQ(told, 3);
}

TEST(Chaos, JoinsAndLeavesAreTheTests) {
  PingScore score;
  int joins = 0, leaves = 0;
  World world(1);
  add_ping_host(world, score).start();
  Chaos chaos(world, {}, {{.at = 1s, .kind = FaultKind::join}, {.at = 2s, .kind = FaultKind::leave}},
              {.join = [&] { ++joins; }, .leave = [&](SimHost&) { ++leaves; }});
  chaos.start();
  world.run_for(3s);
  EXPECT_EQ(joins, 1);
  EXPECT_EQ(leaves, 1);
  EXPECT_TRUE(chaos.over());
}

}  // namespace chordfs
