#include "daemon/ring/fingers.h"

#include <gtest/gtest.h>

#include "tests/daemon/ring/positions.h"

namespace chordfs {
namespace {

using test::at;
using test::key;
using test::places;
using test::view;

bool alive(const Position&) {
  return true;
}

RingState state_at(int place, int predecessor, View successor, int nodes) {
  RingState state(at(place), nodes);
  state.join(at(predecessor), successor);
  return state;
}

/// A ring of nodes at 0, 16, 32 … 240, seen from 0 with two successors.
struct FingersOfSixteen : testing::Test {
  RingState state = state_at(0, 240, view(16, 0, {32}), 2);
  Fingers fingers;

  static Position owner_of(const Id& id) {
    int place = static_cast<int>(id.top() >> 56);
    bool exact = id == key(place);
    return at((place / 16 * 16 + (place % 16 == 0 && exact ? 0 : 16)) % 256);
  }
  int round() {
    int lookups = 0;
    while (fingers.rounds() == 0) {
      auto task = fingers.next(state);
      if (!task || fingers.rounds() > 0) break;
      fingers.learnt(state, task->power, owner_of(task->target));
      ++lookups;
    }
    return lookups;
  }
};

TEST_F(FingersOfSixteen, OneLookupForEachDistinctFingerBeyondTheList) {
  EXPECT_EQ(round(), 2);  // 2^158 = place 64, 2^159 = place 128; the lower ones are in the list.
  EXPECT_EQ(fingers.entries(), places({64, 128}));
}

TEST_F(FingersOfSixteen, ForgetsADeadNode) {
  round();
  fingers.forget(at(64).node);
  EXPECT_EQ(fingers.entries(), places({128}));
}

TEST_F(FingersOfSixteen, NoneWhenTheListKnowsAll) {
  auto small = state_at(0, 32, view(16, 0, {32}), 4);
  EXPECT_FALSE(fingers.next(small));
  EXPECT_EQ(fingers.rounds(), 1);
}

TEST_F(FingersOfSixteen, FindKnowsTheOwnerBehindItself) {
  Table table{&state, &fingers};
  auto answer = find(key(10), {&table, 1}, alive);
  EXPECT_TRUE(answer.done);
  EXPECT_EQ(answer.positions, places({16, 32}));
}

TEST_F(FingersOfSixteen, FindKnowsItselfAsOwner) {
  Table table{&state, &fingers};
  for (int place : {241, 255, 0}) {
    auto answer = find(key(place), {&table, 1}, alive);
    EXPECT_TRUE(answer.done);
    EXPECT_EQ(answer.positions, places({0, 16, 32}));
  }
}

TEST_F(FingersOfSixteen, FindPassesOverADeadOwner) {
  Table table{&state, &fingers};
  auto answer = find(key(10), {&table, 1}, [](const Position& p) { return p.id != key(16); });
  EXPECT_TRUE(answer.done);
  EXPECT_EQ(answer.positions, places({32}));
}

TEST_F(FingersOfSixteen, FindNamesTheClosestPrecedingFirst) {
  round();
  Table table{&state, &fingers};
  auto answer = find(key(200), {&table, 1}, alive);
  EXPECT_FALSE(answer.done);
  EXPECT_EQ(answer.positions, places({128, 64, 32}));
  answer = find(key(100), {&table, 1}, alive);
  EXPECT_EQ(answer.positions, places({64, 32, 16}));
}

TEST(Candidates, TheClosestPrecedingFirstThenAddresses) {
  Candidates candidates(key(200));
  candidates.offer(Endpoint{"seed", 1});
  candidates.offer(at(210));
  candidates.offer(at(100));
  candidates.offer(at(190));
  EXPECT_EQ(candidates.next()->position, at(190));
  EXPECT_EQ(candidates.next()->position, at(100));
  EXPECT_EQ(candidates.next()->position, at(210)) << "just behind the target is farthest before it";
  EXPECT_EQ(candidates.next()->at.host, "seed");
  EXPECT_FALSE(candidates.next());
}

TEST(Candidates, NobodyTwiceAndNotTheExcluded) {
  Candidates candidates(key(200));
  candidates.exclude(at(5).at);
  candidates.offer(at(5));
  candidates.offer(at(7));
  candidates.offer(at(7));
  EXPECT_EQ(candidates.next()->position, at(7));
  candidates.offer(at(7));
  EXPECT_FALSE(candidates.next());
}

TEST(Parse, RefusesWhatCannotBe) {
  Position position;
  auto good = to_wire(at(3));
  EXPECT_TRUE(parse(good, position));
  EXPECT_EQ(position.id, position_id(at(3).node, 0));
  auto bad = good;
  bad.set_index(kPositionsMax);
  EXPECT_FALSE(parse(bad, position));
  bad = good;
  bad.mutable_peer()->set_port(65536);
  EXPECT_FALSE(parse(bad, position));
  bad = good;
  bad.mutable_peer()->set_node("short");
  EXPECT_FALSE(parse(bad, position));
  bad = good;
  bad.mutable_peer()->clear_host();
  EXPECT_FALSE(parse(bad, position));
}

TEST(Find, WhoFollowsThoseThatDoNotAnswerIsTheOwner) {
  auto state = state_at(0, 240, view(16, 0, {32, 48}), 3);
  Fingers none;
  Table table{&state, &none};
  auto not_16 = [](const Position& p) { return p != at(16); };
  auto found = find(key(20), std::span(&table, 1), alive, not_16);
  EXPECT_TRUE(found.done);
  EXPECT_EQ(found.positions, places({32, 48}));
  found = find(key(40), std::span(&table, 1), alive, not_16);
  EXPECT_FALSE(found.done) << "32 may know of someone closer";
  EXPECT_EQ(found.positions, places({32}));
}

TEST(Find, SilenceTowardsTheAskerMakesNobodyLessOfAnOwner) {
  auto state = state_at(0, 240, view(16, 0, {32, 48}), 3);
  Fingers none;
  Table table{&state, &none};
  auto not_16 = [](const Position& p) { return p != at(16); };
  EXPECT_EQ(find(key(10), std::span(&table, 1), alive, not_16).positions, places({16, 32, 48}));
  EXPECT_EQ(find(key(10), std::span(&table, 1), not_16).positions, places({32, 48}));
}

}  // namespace
}  // namespace chordfs
