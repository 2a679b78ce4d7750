// Determinism, and how fast the world turns.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <tuple>

#include "tests/tools/sim/ping.h"

namespace chordfs {

namespace {
struct PingRun {
  std::uint64_t trace = 0, order = 0, steps = 0, answered = 0, failed = 0;
  std::string last_lines;
  friend bool operator==(const PingRun&, const PingRun&) = default;
};

PingRun run_pings(std::uint64_t seed, int hosts, Duration pause, Duration duration, NetworkOptions network = {}) {
  PingScore score;
  World world(seed);
  world.network().options() = network;
  std::vector<Endpoint> peers;
  for (int i = 0; i < hosts; ++i) peers.push_back({"10.0.0." + std::to_string(i + 1), 4100});
  for (int i = 0; i < hosts; ++i) add_ping_host(world, score, {.pause = pause, .peers = peers}).start();
  world.run_for(duration);
  return {world.trace_hash(), score.order, world.steps(), score.answered, score.failed, world.trace().text()};
}

const NetworkOptions kBadNetwork{.loss = 0.05, .duplication = 0.05, .spike = 0.02};
}  // namespace

TEST(Determinism, SameSeedGivesTheSameWorld) {
  const auto first = run_pings(7, 20, 10ms, 20s, kBadNetwork);
  EXPECT_GT(first.answered, 1000u);
  EXPECT_GT(first.failed, 100u);
  EXPECT_EQ(first, run_pings(7, 20, 10ms, 20s, kBadNetwork));
}

TEST(Determinism, AnotherSeedGivesAnotherWorld) {
  EXPECT_NE(run_pings(7, 5, 10ms, 1s).trace, run_pings(8, 5, 10ms, 1s).trace);
}

TEST(Determinism, TraceIsReadable) {
  const auto lines = run_pings(7, 2, 10ms, 1s).last_lines;
  EXPECT_NE(lines.find("request   host 0 -> host 1 ping"), std::string::npos) << lines;
}

// 100 hosts for two minutes. The bound is far below what is reached, since machines and sanitizers differ.
TEST(Speed, HundredHostsPing) {
  const auto begin = std::chrono::steady_clock::now();
  const auto run = run_pings(1, 100, 100ms, 120s);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_NEAR(static_cast<double>(run.answered), 100 * 120 * 10, 5000);
  EXPECT_EQ(run.failed, 0u);
  std::printf("%.0f events/s, %.0f virtual seconds per second, trace %016llx\n",
              static_cast<double>(run.steps) / took.count(), 120 / took.count(),
              static_cast<unsigned long long>(run.trace));
  EXPECT_GT(static_cast<double>(run.steps) / took.count(), 5'000);
}

}  // namespace chordfs
