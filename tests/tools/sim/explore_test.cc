#include "tools/sim/explore.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace chordfs {
namespace {

using State = ExploredProtocol::State;

State told(const ExploredProtocol& protocol, const BreakingHistory& history, bool strict) {
  State state = history.from_ideal ? protocol.ideal({0, 1, 2}) : protocol.alone();
  for (auto words : history.words) {
    auto next = protocol.act(state, words);
    if (strict) EXPECT_TRUE(next) << history.name << ": no such step: " << words << " in " << protocol.text(state);
    if (next) state = std::move(*next);
  }
  return state;
}

class Histories : public testing::TestWithParam<BreakingHistory> {};

TEST_P(Histories, BreakThePublishedProtocolForGood) {
  auto protocol = published_protocol(4, GetParam().alive_check);
  State state = told(*protocol, GetParam(), true);
  EXPECT_NE(protocol->broken(state), "") << protocol->text(state);
  auto repairs = exhaust_repairs(*protocol, state);
  EXPECT_TRUE(repairs.permanent()) << repairs.states << " states, hopeless " << repairs.hopeless << ", after "
                                   << protocol->text(state);
}

TEST_P(Histories, DoNotBreakOurs) {
  auto protocol = our_protocol(4);
  State state = told(*protocol, GetParam(), false);
  auto repairs = exhaust_repairs(*protocol, state);
  EXPECT_EQ(repairs.hopeless, 0U) << "of " << repairs.states << " states, after " << protocol->text(state);
}

INSTANTIATE_TEST_SUITE_P(Chord, Histories, testing::ValuesIn(breaking_histories()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ExplorePublished, FindsThatItBreaksForGood) {
  for (bool alive_check : {false, true}) {
    auto protocol = published_protocol(4, alive_check);
    auto report = explore(*protocol, {.starts = {protocol->alone()}, .forgive_repairable = true});
    EXPECT_NE(report.broken, "") << report.reached << " states";
    EXPECT_FALSE(report.history.empty());
  }
}

TEST(ExploreOurs, HoldsOverThreeAndFourIdentifiersCompletely) {
  for (int ids : {3, 4}) {
    auto protocol = our_protocol(ids);
    auto report =
        explore(*protocol, {.starts = {protocol->alone(), protocol->ideal({0, 1, 2})}, .count_hopeless = true});
    std::string history;
    for (const auto& step : report.history) history += step + "; ";
    EXPECT_EQ(report.broken, "") << history << report.state;
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.hopeless, 0U) << "states from which repair does not lead to one ordered ring";
    std::printf("%d identifiers: %zu states, %llu steps\n", ids, report.reached,
                static_cast<unsigned long long>(report.steps));
  }
}

std::string found(const ExploreReport& report) {
  std::string text = report.broken + "\n" + report.state;
  for (const auto& step : report.history) text += "\n" + step;
  return text;
}

TEST(ExploreMembers, HoldsWhateverHappensNearTheWaysOfThreeNodes) {
  auto members = arc_members(3);
  const auto starts = members->starts();
  // The ways lead somewhere.
  EXPECT_TRUE(std::ranges::any_of(starts, [&](const State& state) { return members->right(state); }));
  auto report = explore(*members, {.starts = starts, .states_max = 80'000});
  EXPECT_EQ(report.broken, "") << found(report);
  std::printf("3 nodes: from %zu states %zu, %llu steps\n", starts.size(), report.reached,
              static_cast<unsigned long long>(report.steps));
}

class Planted : public testing::TestWithParam<FoundInMembers> {
 protected:
  ~Planted() override { plant(Defect::none); }
};

TEST_P(Planted, IsFoundAmongMembers) {
  plant(GetParam().defect);
  auto members = arc_members(GetParam().nodes);
  auto report = explore(*members, {.starts = members->starts()});
  EXPECT_NE(report.broken, "") << report.reached << " states";
  std::printf("%s\n", report.broken.c_str());
}

INSTANTIATE_TEST_SUITE_P(Members, Planted, testing::ValuesIn(found_in_members().begin(), found_in_members().end()),
                         [](const auto& info) { return std::string(name_of(info.param.defect)); });

}  // namespace
}  // namespace chordfs
