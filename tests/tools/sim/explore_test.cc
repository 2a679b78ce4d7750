#include "tools/sim/explore.h"

#include <gtest/gtest.h>

namespace chordfs {
namespace {

using State = ExploredProtocol::State;

/// Histories that break the published protocol for good (chord.md, 4.1), found by exploring it.
struct History {
  const char* name;
  bool alive_check;  ///< Against the protocol with the check that adopted pointers live.
  bool from_ideal;   ///< Begins with the ideal ring of 0, 1, 2; else with 0 alone.
  std::vector<std::string_view> words;
};

const std::vector<History>& histories() {
  static const std::vector<History> all = {
      {"T1", false, false, {"join 1", "join 2", "stabilize 2", "fail 2", "stabilize 1"}},
      {"T2", false, false, {"join 1", "stabilize 1", "stabilize 0", "fail 1", "update 0", "stabilize 0"}},
      {"T3",
       true,
       false,
       {"join 1", "join 2", "stabilize 2", "stabilize 0", "stabilize 1", "reconcile 2", "stabilize 0", "fail 1",
        "join 3", "stabilize 3", "stabilize 2", "fail 3"}},
      {"T4",
       true,
       false,
       {"join 1", "stabilize 1", "stabilize 0", "join 2", "fail 1", "stabilize 2", "reconcile 2", "update 0", "join 1",
        "stabilize 0", "join 3", "stabilize 3", "stabilize 2", "fail 3"}},
      {"T5",
       true,
       true,
       {"fail 1", "update 0", "join 1", "stabilize 0", "join 3", "stabilize 3", "stabilize 2", "fail 3", "update 2",
        "fail 1"}},
  };
  return all;
}

State told(const ExploredProtocol& protocol, const History& history, bool strict) {
  State state = history.from_ideal ? protocol.ideal({0, 1, 2}) : protocol.alone();
  for (auto words : history.words) {
    auto next = protocol.act(state, words);
    if (strict) EXPECT_TRUE(next) << history.name << ": no such step: " << words << " in " << protocol.text(state);
    if (next) state = std::move(*next);
  }
  return state;
}

class Histories : public testing::TestWithParam<History> {};

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

INSTANTIATE_TEST_SUITE_P(Chord, Histories, testing::ValuesIn(histories()),
                         [](const auto& info) { return info.param.name; });

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

}  // namespace
}  // namespace chordfs
