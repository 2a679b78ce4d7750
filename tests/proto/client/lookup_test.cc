// One lookup among scripted nodes: the order of asking, hedging, news of a death, the cache.

#include "proto/client/lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/proto/client/circle.h"

namespace chordfs::test {
namespace {

using State = Circle::State;
using testing::ElementsAre;
using testing::IsEmpty;

struct LookupTest : testing::Test {
  /// Looks for the identifier of this position, starting at these nodes.
  Result<std::vector<Position>> look_up(int target, std::vector<int> from) {
    Lookup lookup(circle.world.runtime(), circle, asks, {.ring = {}, .locations = &locations, .counters = &counters},
                  circle[target].id);
    for (int n : from) lookup.candidates().offer(circle[n]);
    auto began = circle.world.now();
    auto found = circle.world.run(lookup.run());
    took = circle.world.now() - began;
    hops = lookup.hops();
    unreachable = lookup.unreachable();
    return found;
  }
  std::vector<std::string> outcomes() const {
    std::vector<std::string> list;
    for (const Hop& hop : hops) list.push_back(hop.outcome);
    return list;
  }
  void TearDown() override {
    asks.stop();
    circle.world.run(asks.join());
  }

  Circle circle{12};
  TaskGroup asks{circle.world.runtime()};
  Locations locations;
  LookupCounters counters;
  std::vector<Hop> hops;
  std::vector<Position> unreachable;
  Duration took{};
};

TEST_F(LookupTest, AsksTheClosestNamedUntilSomeoneKnows) {
  circle.says = {{0, {false, {5, 3}}}, {5, {false, {7}}}, {7, {true, {8, 9, 10}}}};
  auto found = look_up(8, {0});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->front(), circle[8]);
  EXPECT_THAT(circle.asked, ElementsAre(0, 5, 7));
  EXPECT_THAT(outcomes(), ElementsAre("next", "next", "owner"));
  EXPECT_EQ(took, 3 * Circle::kRoundTrip);
  EXPECT_EQ(counters.lookups, 1U);
  EXPECT_EQ(counters.hops, 3U);
  EXPECT_EQ(counters.timeouts + counters.overtaken + counters.stale + counters.cache_hits, 0U);
}

TEST_F(LookupTest, NobodyLeftToAskIsUnavailable) {
  circle.says = {{0, {false, {}}}};
  auto found = look_up(8, {0, 1});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.code(), Errc::unavailable);
  EXPECT_THAT(outcomes(), ElementsAre("busy", "next"));
}

TEST_F(LookupTest, TheSilentIsOvertakenAfterPatienceNotTimeout) {
  circle.says = {{0, {false, {5, 3}}}, {3, {false, {7}}}, {7, {true, {8}}}};
  circle.states[5] = State::silent;
  ASSERT_TRUE(look_up(8, {0}));
  EXPECT_EQ(took, kLookupPatience + 3 * Circle::kRoundTrip);
  EXPECT_THAT(outcomes(), ElementsAre("next", "overtaken", "next", "owner"));
  EXPECT_EQ(counters.overtaken, 1U);
  EXPECT_EQ(counters.timeouts, 0U) << "its time has not come";
  circle.world.run_for(1s);
  EXPECT_EQ(counters.timeouts, 1U);
}

TEST_F(LookupTest, ALateAnswerCounts) {
  // The slow one knows; the other that is asked beside it never answers.
  circle.says = {{0, {false, {5, 3}}}, {5, {true, {8}}}};
  circle.states = {{5, State::slow}, {3, State::silent}};
  ASSERT_TRUE(look_up(8, {0}));
  EXPECT_EQ(took, Circle::kRoundTrip + Circle::kSlow);
  EXPECT_THAT(outcomes(), ElementsAre("next", "owner", "overtaken"));
}

TEST_F(LookupTest, NoMoreThanThreeAtOnce) {
  circle.says = {{0, {true, {8}}}};
  circle.states = {{7, State::silent}, {6, State::silent}, {5, State::silent}, {4, State::silent}};
  auto found = look_up(8, {0, 4, 5, 6, 7});
  ASSERT_TRUE(found);
  EXPECT_THAT(circle.asked, ElementsAre(7, 6, 5, 4, 0));
  // 4 waits until 7 has timed out, and has its own patience then.
  EXPECT_EQ(took, 500ms + kLookupPatience + Circle::kRoundTrip);
}

TEST_F(LookupTest, WhoNamedADeadOneIsToldAndNamesAnother) {
  circle.says = {{0, {false, {5}}}, {3, {true, {8}}}};
  circle.states[5] = State::refusing;
  auto found = look_up(8, {0});
  EXPECT_FALSE(found) << "0 knew of nobody else";
  EXPECT_THAT(circle.asked, ElementsAre(0, 5, 0));
  EXPECT_THAT(circle.told[0], ElementsAre(5));
  ASSERT_EQ(unreachable.size(), 1U);
  EXPECT_EQ(unreachable.front(), circle[5]);

  circle.says[0].second = {5, 3};
  circle.asked.clear();
  circle.told.clear();
  ASSERT_TRUE(look_up(8, {0}));
  EXPECT_EQ(circle.told[0], std::set{5});
  EXPECT_EQ(circle.told[3], std::set{5}) << "whoever is asked afterwards hears it too";
  EXPECT_EQ(counters.timeouts, 2U);
}

TEST_F(LookupTest, WhatWeKnewOurselvesIsNobodyElsesFault) {
  circle.says = {{3, {true, {8}}}};
  circle.states[5] = State::refusing;
  ASSERT_TRUE(look_up(8, {5, 3}));
  EXPECT_THAT(circle.asked, ElementsAre(5, 3));
}

TEST_F(LookupTest, AnswersFillTheCacheAndAWarmLookupIsOneHop) {
  circle.says = {{0, {false, {7}}}, {7, {true, {8, 9, 10}}}, {9, {true, {9, 10}}}};
  ASSERT_TRUE(look_up(8, {0}));
  circle.asked.clear();
  auto found = look_up(9, {0});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->front(), circle[9]);
  EXPECT_THAT(circle.asked, ElementsAre(9));
  EXPECT_EQ(counters.cache_hits, 1U);
  EXPECT_EQ(counters.stale, 0U);
}

TEST_F(LookupTest, AStaleEntryCostsOneHopAndIsDropped) {
  // We think that 7 is followed by 9; 8 has come between, and 7 knows.
  locations.learn(circle[7].id, std::vector{circle[7], circle[9]});
  circle.says = {{9, {false, {}}}, {7, {true, {8, 9}}}};
  auto found = look_up(8, {});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->front(), circle[8]);
  EXPECT_THAT(circle.asked, ElementsAre(9, 7));
  EXPECT_EQ(counters.stale, 1U);
  EXPECT_EQ(counters.cache_hits, 0U);
  EXPECT_EQ(locations.owner(circle[8].id), circle[8]);
}

TEST_F(LookupTest, ADeadEntryIsForgotten) {
  locations.learn(circle[8].id, std::vector{circle[8]});
  circle.states[8] = State::refusing;
  circle.says = {{0, {true, {8, 9}}}};  // 0 has not heard of the death.
  auto found = look_up(8, {0});
  ASSERT_TRUE(found);
  EXPECT_EQ(counters.stale, 1U);
  EXPECT_FALSE(locations.owner(circle[8].id)) << "not learnt again from one who does not know yet";
  EXPECT_EQ(circle.told[0], std::set{8});
}

TEST_F(LookupTest, AStoppedGroupCancels) {
  circle.says = {{0, {true, {8}}}};
  asks.stop();
  EXPECT_EQ(look_up(8, {0}).code(), Errc::cancelled);
  EXPECT_THAT(circle.asked, IsEmpty());
}

TEST_F(LookupTest, StoppingTheGroupEndsALookupUnderWay) {
  circle.states[0] = State::silent;
  circle.world.after(50ms, [this] { asks.stop(); });
  EXPECT_EQ(look_up(8, {0}).code(), Errc::cancelled);
  EXPECT_EQ(took, 50ms);
}

TEST_F(LookupTest, AForgedAnswerIsNoAnswer) {
  circle.answers = [](int, const Request&) {
    Reply reply;
    reply.header.mutable_find()->set_done(true);
    reply.header.mutable_find()->add_positions()->set_index(kPositionsMax);
    return reply;
  };
  EXPECT_EQ(look_up(8, {0}).code(), Errc::unavailable);
  EXPECT_THAT(outcomes(), ElementsAre("bad_message"));
}

}  // namespace
}  // namespace chordfs::test
