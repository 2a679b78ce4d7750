// Mistakes planted into the program on purpose are found by the scenario "replicas": the judge bites. From the first
// seed known to find it a few more are tried, for the program changes and with it what a seed means.
#include <gmock/gmock.h>

#include "daemon/arc/raft/defects.h"
#include "tests/sim/scenario_test.h"

namespace chordfs {
namespace {

struct Plant {
  Defect defect;
  std::uint64_t first_seed;  ///< As tests/sim/README.md has it.
  const char* judges;        ///< Who may find it first: a regular expression.
};
constexpr std::uint64_t kSeedsMax = 12;

class Planted : public testing::TestWithParam<Plant> {
 protected:
  void SetUp() override {
    spdlog::set_level(spdlog::level::off);
    plant(GetParam().defect);
  }
  void TearDown() override { plant(Defect::none); }
};

TEST_P(Planted, IsFound) {
  const auto [defect, first, judges] = GetParam();
  for (auto seed = first; seed < first + kSeedsMax; ++seed) {
    const auto report = run_replicas({.seed = seed, .nodes = {}});
    for (const auto& violation : report.violations)
      if (testing::Value(violation, testing::ContainsRegex(judges))) return;
  }
  ADD_FAILURE() << "not found: chordfs-sim run replicas --seed " << first << " --seeds " << kSeedsMax << " --plant "
                << name_of(defect);
}
constexpr Plant kPlants[] = {
    {Defect::ack_before_fsync, 1, "I3|I5"},
    {Defect::vote_not_persisted, 1, "I1|I9"},
    {Defect::no_joint_consensus, 1, "I8"},
    {Defect::generation_reused, 1, "I7|I10"},
    {Defect::requests_not_remembered, 2, "answered with|linearizable"},
    {Defect::amnesia_after_wipe, 2, "I7|I3|I5"},
    {Defect::quorum_shrunk_on_suspicion, 1, "I8"},
    {Defect::block_deleted_while_named, 7, "I19|I20|no_block"},
    {Defect::block_acknowledged_early, 1, "I23"},
    {Defect::learner_promoted_early, 2, "I19"},
    {Defect::late_prepare_accepted, 10, "I15|nlink|left over"},
    {Defect::sweep_ignores_open_session, 3, "I19|I20|no_block"},
    {Defect::stale_read, 26, "linearizable|answered with"},
    {Defect::lease_not_recalled, 1, "linearizable|I25"},
    {Defect::dirmove_shared, 39, "I18"},
    {Defect::transaction_step_unlogged, 2, "nlink|parent|left over|with a name"},
    {Defect::ring_not_asked, 1, "I31"},
    {Defect::writer_not_waited_for, 1, "linearizable"},
    {Defect::written_behind_others, 1, "linearizable"},
};
INSTANTIATE_TEST_SUITE_P(Sim, Planted, testing::ValuesIn(kPlants),
                         [](const auto& info) { return std::string(name_of(info.param.defect)); });

}  // namespace
}  // namespace chordfs
