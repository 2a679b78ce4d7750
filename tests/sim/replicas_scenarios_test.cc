// The fault mix of replication.md, section 7.2, on whole nodes with few and busy arcs: the arcs' invariants after every
// step, and a healing that ends in full availability.
#include "tests/sim/scenario_test.h"

namespace chordfs {
namespace {

class ReplicatedArcs : public ScenarioTest {};
TEST_P(ReplicatedArcs, ForkAndLoseNothing) {
  run("replicas", {.seed = GetParam(), .nodes = {}});
}
INSTANTIATE_TEST_SUITE_P(Sim, ReplicatedArcs, testing::Range<std::uint64_t>(1, 1 + seeds_or(500)), seed_name);

TEST(ReplicasDeterminism, OneSeedIsOneHistory) {
  if (few_seeds()) GTEST_SKIP() << "few seeds are wanted";
  spdlog::set_level(spdlog::level::off);
  auto first = run_replicas({.seed = 2, .nodes = {}});
  auto second = run_replicas({.seed = 2, .nodes = {}});
  EXPECT_EQ(first.trace_hash, second.trace_hash);
  EXPECT_EQ(first.numbers, second.numbers);
}

}  // namespace
}  // namespace chordfs
