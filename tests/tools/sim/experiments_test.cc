// The experiments' own foundations, and a short run of each.

#include <gtest/gtest.h>

#include "tools/sim/experiments/experiment.h"
#include "tools/sim/experiments/picture.h"
#include "tools/sim/experiments/ring_bed.h"
#include "tools/sim/experiments/static_ring.h"

namespace chordfs {
namespace {

TEST(Sample, KnowsItsPercentiles) {
  Sample sample;
  for (int i = 100; i >= 1; --i) sample.add(i);
  EXPECT_EQ(sample.mean(), 50.5);
  EXPECT_EQ(sample.percentile(1), 1);
  EXPECT_EQ(sample.median(), 50);
  EXPECT_EQ(sample.percentile(99), 99);
  EXPECT_EQ(sample.max(), 100);
  EXPECT_EQ(sample.share(7), 0.01);
  EXPECT_EQ(Sample().percentile(99), 0);
}

TEST(Report, SaysWhatIsWorse) {
  Report report;
  auto& row = report.row("paper", 8);
  report.equals(row, "mean", 1.01, 1, 0.02);
  report.at_most(row, "timeouts", 0.5, 1, 0);
  EXPECT_TRUE(report.ok());
  report.equals(row, "mean", 0.97, 1, 0.02);
  report.at_most(row, "timeouts", 1.1, 1, 0.05);
  report.must(false, "never");
  EXPECT_EQ(report.worse().size(), 3U);
}

/// The tables of a ring that is built at rest are those of one that really joined, in every entry.
void same_tables(std::size_t nodes, int positions, int successor_nodes) {
  RingBed joined({.seed = 5, .positions = positions, .successor_nodes = successor_nodes});
  joined.grow(nodes);
  joined.settle(60s);
  joined.world().run_for(40s);  // All fingers are looked up again.
  StaticRing built({.seed = 5, .nodes = nodes, .positions = positions, .successor_nodes = successor_nodes});
  for (std::size_t i = 0; i < nodes; ++i) {
    const auto views = joined.ring(i).members();
    ASSERT_EQ(views.size(), built.tables(i).size());
    for (std::size_t p = 0; p < views.size(); ++p) {
      EXPECT_EQ(views[p], built.tables(i)[p].state->view()) << "node " << i << ", position " << p;
      EXPECT_EQ(joined.ring(i).fingers(static_cast<std::uint32_t>(p)), built.tables(i)[p].fingers->entries())
          << "node " << i << ", position " << p;
    }
  }
}

TEST(StaticRing, IsWhatARingThatReallyJoinedBecomes) {
  same_tables(64, 1, 4);
}
TEST(StaticRing, IsWhatTheSmallestListsBecome) {
  same_tables(48, 1, 1);
}
TEST(StaticRing, IsWhatARingOfSeveralPositionsBecomes) {
  same_tables(32, 8, 4);
}
TEST(StaticRing, IsWhatASmallRingBecomes) {
  same_tables(3, 2, 4);
}

TEST(Picture, DrawsWhatTheExperimentPrints) {
  Report report;
  for (std::size_t nodes : {8, 16}) report.beside(report.row("paper", nodes), "mean", 2, 3);
  const auto* experiment = find_experiment("path-length");
  const auto script = picture_of(to_json(*experiment, {}, report));
  ASSERT_TRUE(script) << script.error().text();
  EXPECT_NE(script->find("8 3"), std::string::npos) << *script;
  EXPECT_EQ(script->find("8 2"), std::string::npos) << "no percentiles, no bars: " << *script;
  EXPECT_EQ(picture_of({{"experiment", "none"}}).code(), Errc::invalid);
  EXPECT_EQ(picture_of(to_json(*experiment, {}, Report())).code(), Errc::invalid);
}

class Quick : public testing::TestWithParam<std::string> {};

TEST_P(Quick, IsWithinItsTolerances) {
  const auto* experiment = find_experiment(GetParam());
  ASSERT_NE(experiment, nullptr);
  const ExperimentOptions options{.quick = true};
  Report report;
  experiment->run(options, report);
  EXPECT_TRUE(report.ok()) << to_text(*experiment, options, report);
  EXPECT_FALSE(report.rows().empty());
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& experiment : experiments()) names.emplace_back(experiment.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Experiments, Quick, testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

}  // namespace
}  // namespace chordfs
