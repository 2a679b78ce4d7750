#include "daemon/ring/ring_state.h"

#include <gtest/gtest.h>

#include "tests/daemon/ring/positions.h"

namespace chordfs {
namespace {

using test::at;
using test::key;
using test::places;
using test::view;
using Verdict = RingState::Verdict;

RingState member(int place, int predecessor, std::vector<int> successors, int nodes = 3) {
  RingState state(at(place), nodes);
  int first = successors.empty() ? predecessor : successors.front();
  if (successors.empty()) {
    state.create({at(place)});
    state.set_predecessor(at(predecessor));
  } else {
    state.join(at(predecessor), view(first, place, {successors.begin() + 1, successors.end()}));
  }
  return state;
}

TEST(Cut, StopsAtTheNodesWanted) {
  EXPECT_EQ(cut(at(10), places({20, 30, 40, 50}), 3), places({20, 30, 40}));
}

TEST(Cut, PositionsOfOneNodeCountOnce) {
  std::vector<Position> run{at(20, 1), at(30, 2), at(40, 1), at(50, 2), at(60, 3), at(70, 1)};
  EXPECT_EQ(cut(at(10, 0), run, 3), std::vector(run.begin(), run.begin() + 5));
}

TEST(Cut, OwnPositionsDoNotCount) {
  std::vector<Position> run{at(20, 0), at(30, 1), at(40, 0), at(50, 2), at(60, 3)};
  EXPECT_EQ(cut(at(10, 0), run, 2), std::vector(run.begin(), run.begin() + 4));
}

TEST(Cut, StopsBeforeSelfAppears) {
  EXPECT_EQ(cut(at(10), places({20, 30, 10, 20}), 9), places({20, 30}));
}
TEST(Cut, StopsBeforeSelfIsPassed) {
  EXPECT_EQ(cut(at(10), places({20, 30, 15}), 9), places({20, 30}));
}
TEST(Cut, WrapsAtZero) {
  EXPECT_EQ(cut(at(200), places({250, 0, 3, 190, 210}), 9), places({250, 0, 3, 190}));
}
TEST(Cut, StopsAtDisorder) {
  EXPECT_EQ(cut(at(10), places({20, 40, 30}), 9), places({20, 40}));
}
TEST(Cut, StopsAtADouble) {
  EXPECT_EQ(cut(at(10), places({20, 20, 30}), 9), places({20}));
}

TEST(Cut, HasALimit) {
  std::vector<Position> run;
  for (int place = 1; place < 200; ++place) run.push_back(at(place, place % 2));
  EXPECT_EQ(cut(at(0, 9), run, 4).size(), kSuccessorsMax);
}

TEST(RingState, AloneItOwnsEverything) {
  RingState state(at(10), 3);
  EXPECT_FALSE(state.owns(key(10)));
  state.create({at(10)});
  EXPECT_EQ(state.successor(), at(10));
  EXPECT_EQ(state.predecessor(), at(10));
  EXPECT_TRUE(state.owns(key(10)));
  EXPECT_TRUE(state.owns(key(11)));
  EXPECT_TRUE(state.owns(key(9)));
}

TEST(RingState, CreateOrdersThePositionsOfTheFirstNode) {
  RingState state(at(100, 0), 3);
  state.create({at(200, 0), at(100, 0), at(50, 0)});
  EXPECT_EQ(state.successors(), (std::vector{at(200, 0), at(50, 0)}));
  EXPECT_EQ(state.predecessor(), at(50, 0));
  EXPECT_TRUE(state.knows_all());
}

TEST(RingState, JoinTakesTheWholeListAndThePredecessor) {
  RingState state(at(15), 3);
  state.join(at(10), view(20, 10, {30, 40, 50}));
  EXPECT_EQ(state.successors(), places({20, 30, 40}));
  EXPECT_EQ(state.predecessor(), at(10));
  EXPECT_TRUE(state.owns(key(12)));
  EXPECT_FALSE(state.owns(key(10)));
}

TEST(RingState, JoinTheSecondNode) {
  RingState state(at(20), 3);
  state.join(at(10), view(10, 10, {}));
  EXPECT_EQ(state.successors(), places({10}));
}

TEST(RingState, OwnsAcrossZero) {
  auto state = member(5, 250, {20});
  EXPECT_TRUE(state.owns(key(255)));
  EXPECT_TRUE(state.owns(key(0)));
  EXPECT_TRUE(state.owns(key(5)));
  EXPECT_FALSE(state.owns(key(250)));
  EXPECT_FALSE(state.owns(key(6)));
}

TEST(RingState, FromSuccessorReplacesTheWholeList) {
  auto state = member(10, 5, {20, 30, 40});
  EXPECT_TRUE(state.from_successor(view(20, 10, {25, 50, 60})));
  EXPECT_EQ(state.successors(), places({20, 25, 50}));
  EXPECT_FALSE(state.from_successor(view(20, 10, {25, 50, 60})));
}

TEST(RingState, CloserOnlyStrictlyBetweenSelfAndSuccessor) {
  auto state = member(10, 5, {20, 30});
  EXPECT_EQ(state.closer(at(15)), at(15));
  EXPECT_FALSE(state.closer(at(10)));
  EXPECT_FALSE(state.closer(at(20)));
  EXPECT_FALSE(state.closer(at(25)));
  EXPECT_FALSE(state.closer(at(5)));
}

TEST(RingState, FromPredecessorInsertsTheCloserOne) {
  auto state = member(10, 5, {20, 30, 40});
  EXPECT_TRUE(state.from_predecessor(view(15, 10, {20, 30, 40})));
  EXPECT_EQ(state.successors(), places({15, 20, 30}));
}

TEST(RingState, AloneItFindsTheSecondNodeThroughItsPredecessor) {
  auto state = member(10, 20, {});
  ASSERT_EQ(state.closer(at(20)), at(20));
  EXPECT_TRUE(state.from_predecessor(view(20, 10, {10})));
  EXPECT_EQ(state.successors(), places({20}));
}

TEST(RingState, DropShortensAndTheLastDropLeavesItAlone) {
  auto state = member(10, 5, {20, 30});
  EXPECT_TRUE(state.drop(key(20)));
  EXPECT_EQ(state.successors(), places({30}));
  EXPECT_FALSE(state.drop(key(20)));
  EXPECT_TRUE(state.drop(key(30)));
  EXPECT_EQ(state.successor(), at(10));
}

TEST(RingState, ConsiderTakesACloserCandidate) {
  EXPECT_EQ(member(30, 10, {40}).consider(at(20)), Verdict::adopt);
}
TEST(RingState, ConsiderKeepsTheSameOne) {
  EXPECT_EQ(member(30, 10, {40}).consider(at(10)), Verdict::keep);
}

TEST(RingState, ConsiderAFartherOneOnlyInPlaceOfADeadOne) {
  EXPECT_EQ(member(30, 20, {40}).consider(at(10)), Verdict::adopt_if_predecessor_dead);
  EXPECT_EQ(member(30, 20, {40}).consider(at(35)), Verdict::adopt_if_predecessor_dead);
}

TEST(RingState, ConsiderAnyoneWhenAlone) {
  EXPECT_EQ(member(30, 30, {}).consider(at(35)), Verdict::adopt);
}

TEST(RingState, ConsiderANewAddressOfTheSamePosition) {
  Position moved = at(10);
  moved.at.port = 7000;
  EXPECT_EQ(member(30, 10, {40}).consider(moved), Verdict::adopt);
}

TEST(RingState, FromElsewhereKeepsWhatTheSmallerRingDoesNotKnow) {
  auto state = member(10, 5, {30, 40, 50}, 9);
  EXPECT_TRUE(state.from_elsewhere(view(20, 35, {35})));
  EXPECT_EQ(state.successors(), places({20, 30, 35, 40, 50}));
  EXPECT_FALSE(state.from_elsewhere(view(25, 20, {35})));
}

TEST(RingState, KnowsAllWhileTheListHoldsFewerNodesThanWanted) {
  EXPECT_TRUE(member(10, 30, {20, 30}, 3).knows_all());
  EXPECT_FALSE(member(10, 40, {20, 30, 40}, 3).knows_all());
}

}  // namespace
}  // namespace chordfs
