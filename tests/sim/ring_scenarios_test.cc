// Membership: any number of nodes, and Zave's invariant after every step.
#include "tests/sim/scenario_test.h"

namespace chordfs {
namespace {

class RingScenario : public ScenarioTest {};

TEST_P(RingScenario, BecomesOneOrderedRingAgain) {
  run("ring", {.seed = GetParam(), .nodes = {}});
}
INSTANTIATE_TEST_SUITE_P(Sim, RingScenario, testing::Range<std::uint64_t>(1, 1 + seeds_or(30)), seed_name);

/// The smallest sizes, one by one, and the largest.
class RingOfSize : public ScenarioTest {};

TEST_P(RingOfSize, BecomesOneOrderedRingAgain) {
  run("ring", {.seed = 1000 + GetParam(), .nodes = GetParam()});
}
INSTANTIATE_TEST_SUITE_P(Sim, RingOfSize, testing::Values(1, 2, 3, 4, 5, 6, 7, 8, 100));

/// Seeds that found something once: what it was stands beside them.
struct Known {
  std::uint64_t seed;
  std::size_t nodes;
};

TEST(KnownRingSeeds, Hold) {
  spdlog::set_level(spdlog::level::off);
  const Known known[] = {
      {8, 5},   // Three that left at once handed their arcs to one another, for ever.
      {11, 3},  // The first node had not yet noted whom it had met, and came back as a ring of its own.
  };
  for (const auto& [seed, nodes] : known) {
    SCOPED_TRACE(fmt::format("chordfs-sim run ring --seed {} --nodes {}", seed, nodes));
    auto report = run_ring({.seed = seed, .nodes = nodes});
    EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.violations.front());
  }
}

}  // namespace
}  // namespace chordfs
