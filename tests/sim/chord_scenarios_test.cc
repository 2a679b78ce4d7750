// Rings that are nothing but rings: the checklist of Zave's protocol after every step, within her theorem and in
// storms.
#include "tests/sim/scenario_test.h"
#include "tools/sim/chord_world.h"

namespace chordfs {
namespace {

class ChordScenario : public ScenarioTest {};

TEST_P(ChordScenario, BecomesOneOrderedQuietRing) {
  run("chord", {.seed = GetParam(), .nodes = {}});
}
INSTANTIATE_TEST_SUITE_P(Sim, ChordScenario, testing::Range<std::uint64_t>(1, 1 + seeds_or(200)), seed_name);

/// The smallest sizes, one by one: up to r + 1 nodes the theorem does not reach.
class ChordOfSize : public ScenarioTest {};

TEST_P(ChordOfSize, BecomesOneOrderedQuietRing) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) run("chord", {.seed = 1000 * seed + GetParam(), .nodes = GetParam()});
}
INSTANTIATE_TEST_SUITE_P(Sim, ChordOfSize, testing::Values(1, 2, 3, 4, 5, 6, 7, 8));

/// Half a minute each: not where a few seeds are all that is wanted.
TEST_F(ChordScenario, AThousandNodes) {
  if (seeds_or(200) < 100) return;
  run("chord", {.seed = 2, .nodes = 1000});  // A storm.
  run("chord", {.seed = 4, .nodes = 1000});  // Within the theorem.
}

TEST_F(ChordScenario, SameSeedSameHistory) {
  for (std::uint64_t seed : {3, 49})
    EXPECT_EQ(run("chord", {.seed = seed}).trace_hash, run("chord", {.seed = seed}).trace_hash);
}

/// Seeds that found something once.
TEST_F(ChordScenario, KnownSeedsHold) {
  for (std::uint64_t seed : {49,   // Looking for one that somebody else found silent looked like an operation.
                             79,   // One that was leaving, and counted as gone, still had its list.
                             121,  // A leaver's old list skipped one that had joined behind it (164, 278, 367 too).
                             136,  // A leaver's list named one that nobody had heard in that operation.
                             164, 278, 367})
    run("chord", {.seed = seed});
}

/// What a node with a defect is told in place of the truth: the judge must find it.
std::vector<std::string> violations_with(
    std::function<std::optional<Reply>(std::size_t, const Endpoint&, const Request&)> defect) {
  ChordWorld ring({.seed = 5, .successor_nodes = 2, .theorem = true, .defect = std::move(defect)});
  ring.found();
  for (int i = 0; i < 6; ++i) {
    ring.add_node();
    ring.world().run_for(2s);
  }
  ring.world().run_for(60s);
  return ring.violations();
}

TEST_F(ChordScenario, WithoutDefectHolds) {
  EXPECT_EQ(violations_with(nullptr), std::vector<std::string>());
}

/// Node 3 believes everybody else dead once it has been in the ring for a while.
TEST_F(ChordScenario, FindsThatALiveSuccessorIsTakenForDead) {
  int calls = 0;
  auto violations = violations_with([&](std::size_t index, const Endpoint&, const Request& request) {
    const bool lie = index == 3 && request.header.has_neighbours() && ++calls > 40;
    return lie ? std::optional(error_reply({Errc::wrong_ring, "a planted defect"})) : std::nullopt;
  });
  EXPECT_FALSE(violations.empty());
}

}  // namespace
}  // namespace chordfs
