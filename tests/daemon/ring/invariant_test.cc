#include "daemon/ring/invariant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/ring/positions.h"

namespace chordfs {
namespace {

using test::at;
using test::places;
using test::view;

std::vector<std::string> rules(const std::vector<Violation>& violations) {
  std::vector<std::string> rules;
  for (const Violation& v : violations) rules.push_back(v.rule);
  return rules;
}

/// Ideal ring of single-position nodes with lists of two.
RingSnapshot ideal_ring(std::vector<int> list) {
  RingSnapshot ring{.successor_nodes = 2, .live = {}, .in_flight = {}};
  std::size_t n = list.size();
  for (std::size_t i = 0; i < n; ++i)
    ring.live.push_back(view(list[i], list[(i + n - 1) % n], {list[(i + 1) % n], list[(i + 2) % n]}));
  return ring;
}

testing::AssertionResult holds(const std::vector<Violation>& violations) {
  if (violations.empty()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << text_of(violations);
}

TEST(Invariant, HoldsInAnIdealRing) {
  auto ring = ideal_ring({0, 50, 100, 255});
  EXPECT_TRUE(holds(check_invariant(ring, RingMode::ordinary)));
  EXPECT_TRUE(holds(check_ideal(ring)));
  EXPECT_EQ(nodes_of(principals(ring)), 4);
}

TEST(Invariant, HoldsForOneNode) {
  RingSnapshot ring{.live = {view(10, 10, {})}};
  EXPECT_TRUE(holds(check_invariant(ring, RingMode::small)));
  EXPECT_TRUE(holds(check_ideal(ring)));
}

TEST(Invariant, HoldsForOneNodeWithTwoPositions) {
  View a{at(10, 0), at(20, 0), {at(20, 0)}};
  View b{at(20, 0), at(10, 0), {at(10, 0)}};
  RingSnapshot ring{.live = {a, b}};
  EXPECT_TRUE(holds(check_invariant(ring, RingMode::small)));
  EXPECT_TRUE(holds(check_ideal(ring)));
}

TEST(Invariant, HoldsForTwoNodes) {
  RingSnapshot ring{.live = {view(10, 200, {200}), view(200, 10, {10})}};
  EXPECT_TRUE(holds(check_invariant(ring, RingMode::small)));
  EXPECT_TRUE(holds(check_ideal(ring)));
}

TEST(Invariant, HoldsWhileOneHasJustJoined) {
  auto ring = ideal_ring({0, 50, 100, 200});
  ring.live.push_back(view(60, 50, {100, 200}));
  EXPECT_TRUE(holds(check_invariant(ring, RingMode::ordinary)));
  EXPECT_FALSE(check_ideal(ring).empty());
  EXPECT_EQ(principals(ring).size(), 4U) << "the new one is skipped by 0 and 50";
}

TEST(Invariant, FindsSelfInAList) {
  auto ring = ideal_ring({0, 50, 100});
  ring.live[0].successors = places({50, 0});
  EXPECT_THAT(rules(check_invariant(ring, RingMode::ordinary)), testing::Contains("C2"));
}

TEST(Invariant, FindsDisorder) {
  auto ring = ideal_ring({0, 50, 100, 150});
  ring.live[0].successors = places({100, 50});
  EXPECT_THAT(rules(check_invariant(ring, RingMode::ordinary)), testing::Contains("C3"));
}

TEST(Invariant, FindsAListOfTheDead) {
  auto ring = ideal_ring({0, 50, 100, 150});
  ring.live[0].successors = places({60, 70});
  EXPECT_THAT(rules(check_invariant(ring, RingMode::ordinary)), testing::IsSupersetOf({"C4", "C11"}));
}

TEST(Invariant, FindsAListOfTheDeadInAMessage) {
  auto ring = ideal_ring({0, 50, 100, 150});
  ring.in_flight.push_back(view(50, 0, {60, 70}));
  EXPECT_THAT(rules(check_invariant(ring, RingMode::ordinary)), testing::Contains("C6"));
}

TEST(Invariant, FindsTooFewPrincipals) {
  auto ring = ideal_ring({0, 50, 100});
  ring.live[0].successors = places({100});
  EXPECT_THAT(rules(check_invariant(ring, RingMode::ordinary)), testing::Contains("C5"));
  EXPECT_THAT(rules(check_invariant(ring, RingMode::small)), testing::Not(testing::Contains("C5")));
}

TEST(Invariant, CountsPrincipalsByNode) {
  auto ring = ideal_ring({0, 50, 100});
  for (View& v : ring.live) v.self.node = Uuid(1, 1);
  EXPECT_THAT(rules(check_invariant(ring, RingMode::ordinary)), testing::Contains("C5"));
}

TEST(Invariant, FindsTwoRings) {
  RingSnapshot ring{.live = {view(0, 100, {100}), view(100, 0, {0}), view(50, 150, {150}), view(150, 50, {50})}};
  EXPECT_THAT(rules(check_invariant(ring, RingMode::small)), testing::Contains("C8"));
}

TEST(Invariant, FindsARingThatWindsTwice) {
  RingSnapshot ring{.live = {view(0, 150, {100}), view(100, 0, {50}), view(50, 100, {150}), view(150, 50, {0})}};
  EXPECT_THAT(rules(check_invariant(ring, RingMode::small)), testing::Contains("C9"));
}

TEST(Invariant, FindsAPrincipalOutsideTheRing) {
  auto ring = ideal_ring({0, 50, 100});
  ring.live.push_back(view(20, 0, {50, 100}));
  ring.live[0].successors = places({20, 50});
  EXPECT_TRUE(holds(check_invariant(ring, RingMode::ordinary)));
  ring.live[0].successors = places({50, 100});
  // 0 skips it now, so it is an appendage and no principal.
  EXPECT_TRUE(holds(check_invariant(ring, RingMode::ordinary)));
  EXPECT_EQ(principals(ring).size(), 3U);
}

TEST(Ideal, FindsAPredecessorThatMakesTwoOwnersOfOneKey) {
  auto ring = ideal_ring({0, 50, 100});
  ring.live[1].predecessor = at(200);
  EXPECT_THAT(rules(check_ideal(ring)), testing::Contains("C18"));
}

}  // namespace
}  // namespace chordfs
