// Clients at work while things happen to the ring: nothing acknowledged is lost, and one seed is one history.
#include "tests/sim/scenario_test.h"

namespace chordfs {
namespace {

class Churn : public ScenarioTest {};
TEST_P(Churn, FailsNoOperation) {
  run("churn", {.seed = GetParam(), .nodes = {}});
}
INSTANTIATE_TEST_SUITE_P(Sim, Churn, testing::Range<std::uint64_t>(1, 1 + seeds_or(8)), seed_name);

class Files : public ScenarioTest {};
TEST_P(Files, LosesNothingAcknowledged) {
  run("files", {.seed = GetParam(), .nodes = {}});
}
INSTANTIATE_TEST_SUITE_P(Sim, Files, testing::Range<std::uint64_t>(1, 1 + seeds_or(16)), seed_name);

class DiskFaults : public ScenarioTest {};
TEST_P(DiskFaults, LoseNothingAcknowledged) {
  run("disk", {.seed = GetParam(), .nodes = {}});
}
INSTANTIATE_TEST_SUITE_P(Sim, DiskFaults, testing::Range<std::uint64_t>(1, 1 + seeds_or(8)), seed_name);

/// Seeds that found something once.
TEST(KnownSeeds, Hold) {
  if (few_seeds()) GTEST_SKIP() << "few seeds are wanted";
  spdlog::set_level(spdlog::level::off);
  const std::pair<std::string_view, std::uint64_t> known[] = {
      {"disk", 27},     // A transaction whose Forget met a full disk was never finished.
      {"files", 169},   // A joiner whose only peer had left (a fault of the scenario).
      {"files", 5049},  // A write that failed was tried three times, which the history did not allow.
      {"churn", 4},     // A replica whose members had all left was never told that it is none.
      {"files", 5},     // One that was replaced while it fetched records hung.
      {"files", 56},    // A member that restarted was taken for a new one, and forgot its vote.
  };
  for (const auto& [name, seed] : known) {
    SCOPED_TRACE(fmt::format("chordfs-sim run {} --seed {}", name, seed));
    auto report = find_scenario(name)->run({.seed = seed, .nodes = {}});
    EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.violations.front());
  }
}

TEST(Determinism, OneSeedIsOneHistory) {
  if (few_seeds()) GTEST_SKIP() << "few seeds are wanted";
  spdlog::set_level(spdlog::level::off);
  for (std::uint64_t seed : {3, 7}) {  // Every kind of fault together.
    auto first = run_files({.seed = seed, .nodes = {}});
    auto second = run_files({.seed = seed, .nodes = {}});
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.numbers, second.numbers);
  }
  EXPECT_NE(run_files({.seed = 3, .nodes = {}}).trace_hash, run_files({.seed = 4, .nodes = {}}).trace_hash);
}

}  // namespace
}  // namespace chordfs
