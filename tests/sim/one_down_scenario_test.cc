// One node at a time is dead, frozen or cut off: nothing fails, and no call takes longer than 3 s.
#include "tests/sim/scenario_test.h"

namespace chordfs {
namespace {

class OneDown : public ScenarioTest {};
TEST_P(OneDown, NoErrorAndNoCallOverThreeSeconds) {
  run("one_down", {.seed = GetParam(), .nodes = {}});
}
INSTANTIATE_TEST_SUITE_P(Sim, OneDown, testing::Range<std::uint64_t>(1, 1 + seeds_or(20)), seed_name);

}  // namespace
}  // namespace chordfs
