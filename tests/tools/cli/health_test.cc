#include "tools/cli/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "proto/client/position.h"

namespace chordfs::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Copies = ArcHealth::Copies;
using State = NodeHealth::State;

wire::Peer peer(int n) {
  return to_peer(Uuid(0x6e6f6465, static_cast<std::uint64_t>(n)), {"10.0.0.1", static_cast<std::uint16_t>(6000 + n)});
}
std::string identity(int n) {
  return Uuid(0x6e6f6465, static_cast<std::uint64_t>(n)).hex();
}

/// A ring of these nodes with arcs of two bits; arcs are added by lead().
class HealthTest : public testing::Test {
 protected:
  void nodes(int count, std::uint32_t replicas = 3) {
    for (int n = 1; n <= count; ++n) {
      auto& status = statuses.emplace_back();
      *status.mutable_peer() = peer(n);
      status.set_replicas(replicas);
    }
  }
  /// The first of `voters` leads it, all are there and complete.
  wire::Status::Arc& lead(ArcNumber arc, std::vector<int> voters, std::vector<int> learners = {}) {
    auto& row = *statuses.at(static_cast<std::size_t>(voters.front()) - 1).add_arcs();
    row.set_arc(arc);
    row.set_state("leader");
    row.set_term(5);
    for (int n : voters) member(row, n);
    for (int n : learners) member(row, n).set_learner(true);
    return row;
  }
  static wire::Status::Arc::Member& member(wire::Status::Arc& row, int n) {
    auto& member = *row.add_members();
    *member.mutable_peer() = peer(n);
    member.set_live(true);
    member.set_complete(true);
    return member;
  }
  void lead_all(std::vector<int> voters, std::vector<int> learners = {}) {
    for (ArcNumber arc = 0; arc < 4; ++arc) lead(arc, voters, learners);
  }
  wire::Status::Arc::Member& of(int leader, int arc, int at) {
    return *statuses.at(static_cast<std::size_t>(leader) - 1).mutable_arcs(arc)->mutable_members(at);
  }
  /// It dies: does not answer, and whoever leads has noticed.
  void kill(int n) {
    std::erase_if(statuses,
                  [&](const auto& status) { return status.peer().port() == 6000U + static_cast<unsigned>(n); });
    for (auto& status : statuses) {
      status.add_suspected("10.0.0.1:" + std::to_string(6000 + n));
      for (auto& row : *status.mutable_arcs())
        for (auto& member : *row.mutable_members())
          if (member.peer().port() == peer(n).port()) member.set_live(false);
    }
  }
  Health health() const { return health_of(Uuid(7, 7), ArcMap(2), statuses); }
  std::string text() const { return text_of(health(), Filling()); }

  std::vector<wire::Status> statuses;
};

TEST_F(HealthTest, ThreeOfThreeMayLoseOne) {
  nodes(3);
  lead_all({1, 2, 3});
  auto seen = health();
  EXPECT_TRUE(seen.well());
  EXPECT_EQ(seen.can_lose(), 1);
  EXPECT_EQ(seen.count(Copies::all), 4U);
  EXPECT_THAT(what_may_be_lost(seen), ElementsAre("you can lose any 1 node now"));
}

TEST_F(HealthTest, FiveOfFiveMayLoseTwo) {
  nodes(5, 5);
  lead_all({1, 2, 3, 4, 5});
  EXPECT_THAT(what_may_be_lost(health()), ElementsAre("you can lose any 2 nodes now"));
}

TEST_F(HealthTest, TheArcThatCanSpareFewestDecides) {
  nodes(5, 5);
  lead_all({1, 2, 3, 4, 5});
  of(1, 3, 2).set_complete(false);
  EXPECT_EQ(health().can_lose(), 1);
  of(1, 3, 4).set_live(false);
  EXPECT_EQ(health().can_lose(), 0);
}

TEST_F(HealthTest, ADeadVoterIsNamedAndMissed) {
  nodes(3);
  lead_all({1, 2, 3});
  kill(3);
  auto seen = health();
  EXPECT_FALSE(seen.well());
  EXPECT_EQ(seen.count(State::down), 1U);
  EXPECT_EQ(seen.count(Copies::majority), 4U);
  EXPECT_EQ(seen.wanted(), 3U);
  EXPECT_EQ(seen.can_lose(), 0);
  EXPECT_THAT(text(), HasSubstr("10.0.0.1:6003"));
  EXPECT_THAT(text(), HasSubstr("you can lose no node now: 4 arcs would be left without a majority"));
}

TEST_F(HealthTest, WithoutAMajorityTheArcsStandStill) {
  nodes(3);
  lead_all({1, 2, 3});
  kill(3);
  kill(2);
  auto seen = health();
  EXPECT_EQ(seen.count(Copies::no_majority), 4U);
  EXPECT_EQ(seen.can_lose(), 0);
  EXPECT_THAT(text(), HasSubstr("4 arcs can neither be read nor changed"));
}

TEST_F(HealthTest, NobodyLeadsIsNoMajority) {
  nodes(3);
  lead(0, {1, 2, 3});
  auto seen = health();
  EXPECT_EQ(seen.count(Copies::all), 1U);
  EXPECT_EQ(seen.count(Copies::no_majority), 3U);
  EXPECT_EQ(seen.can_lose(), 0);
}

TEST_F(HealthTest, LeaderlessArcsLeaveTheDeadToTheSuspicious) {
  nodes(1);
  statuses[0].add_suspected("10.0.0.1:6002");
  EXPECT_EQ(health().count(State::down), 1U);
  EXPECT_THAT(not_heard(statuses), ElementsAre(Endpoint{"10.0.0.1", 6002}));
}

TEST_F(HealthTest, OneThatAnswersButIsSuspectedByOthersIsSuspect) {
  nodes(3);
  lead_all({1, 2, 3});
  statuses[0].add_suspected("10.0.0.1:6003");
  statuses[1].add_suspected("10.0.0.1:6002");  // Its own word about itself.
  auto seen = health();
  EXPECT_EQ(seen.count(State::suspect), 1U);
  EXPECT_EQ(seen.nodes[2].state, State::suspect);
  EXPECT_THAT(not_heard(statuses), IsEmpty());
}

TEST_F(HealthTest, TheLatestOfTwoLeadersIsBelieved) {
  nodes(3);
  lead_all({1, 2, 3});
  auto& newer = lead(0, {2, 1, 3});
  newer.set_term(6);
  newer.mutable_members(1)->set_live(false);
  EXPECT_EQ(health().count(Copies::majority), 1U);
  newer.set_term(4);
  EXPECT_EQ(health().count(Copies::majority), 0U);
}

TEST_F(HealthTest, AJointViewNeedsBothSets) {
  nodes(5);
  lead_all({1, 2, 3});
  auto& row = *statuses[0].mutable_arcs(0);
  member(row, 4).set_incoming(true);
  row.mutable_members(2)->set_outgoing(true);
  EXPECT_EQ(health().can_lose(), 1) << "{1 2 3} and {1 2 4}";
  row.mutable_members(3)->set_live(false);
  EXPECT_EQ(health().can_lose(), 0) << "the new set has no voter to spare";
  row.mutable_members(1)->set_live(false);
  EXPECT_EQ(health().count(Copies::no_majority), 1U) << "the old set alone is not enough";
}

TEST_F(HealthTest, CopiesThatAreBeingMadeAreCounted) {
  nodes(4);
  lead_all({1, 2, 3}, {4});
  of(1, 0, 3).set_complete(false);
  of(1, 0, 3).set_bytes_left(3 << 20);
  auto seen = health();
  EXPECT_EQ(seen.learners(), 1U);
  EXPECT_EQ(seen.bytes_left(), 3U << 20);
  EXPECT_THAT(text(), HasSubstr("1 copy being made, 3.0 MiB to go"));
  EXPECT_EQ(seen.can_lose(), 1) << "a learner has no vote";
}

TEST_F(HealthTest, OneNodeSaysWhatItCannotSurvive) {
  nodes(1);
  lead_all({1});
  EXPECT_TRUE(health().well());
  EXPECT_THAT(what_may_be_lost(health()), ElementsAre("1 node: losing it loses everything"));
}

TEST_F(HealthTest, TwoNodesSayWhatTheyCannotSurvive) {
  nodes(2);
  lead_all({1}, {2});
  EXPECT_TRUE(health().well());
  EXPECT_EQ(health().wanted(), 2U);
  auto lines = what_may_be_lost(health());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], HasSubstr("2 nodes: every arc is led by one voter"));
  EXPECT_THAT(lines[0], HasSubstr("cannot take over by itself"));
}

TEST_F(HealthTest, SecondCopyThatIsNotCompleteIsMissing) {
  nodes(2);
  lead_all({1}, {2});
  of(1, 0, 1).set_complete(false);
  EXPECT_FALSE(health().well());
  EXPECT_EQ(health().count(Copies::majority), 1U);
}

TEST_F(HealthTest, MadeForOneCopyItSaysSo) {
  nodes(3, 1);
  lead_all({1});
  EXPECT_TRUE(health().well());
  EXPECT_THAT(text(), HasSubstr("--replicas 1: losing a node loses what it holds"));
}

TEST_F(HealthTest, OneThatLeavesStillLeads) {
  nodes(3);
  lead_all({1, 2, 3});
  statuses[0].set_leaving(true);
  for (auto& row : *statuses[0].mutable_arcs()) row.set_state("leaving");
  EXPECT_EQ(health().count(Copies::no_majority), 0U);
  EXPECT_EQ(health().can_lose(), 1);
}

TEST_F(HealthTest, OneThatLeavesIsNotWaitedFor) {
  nodes(3);
  lead_all({1}, {2});
  statuses[2].set_leaving(true);
  EXPECT_EQ(health().wanted(), 2U);
  EXPECT_TRUE(health().well());
  EXPECT_THAT(text(), HasSubstr("leaving"));
}

TEST_F(HealthTest, MayStopIfEveryArcKeepsItsMajority) {
  nodes(3);
  lead_all({1, 2, 3});
  EXPECT_TRUE(advice(health(), identity(1)).may());
  of(1, 2, 2).set_complete(false);
  EXPECT_TRUE(advice(health(), identity(3)).may()) << "it counts for none there anyway";
  auto second = advice(health(), identity(2));
  EXPECT_EQ(second.broken, 1U);
  EXPECT_THAT(second.waited_for, ElementsAre(Endpoint{"10.0.0.1", 6003}));
}

TEST_F(HealthTest, ALearnerMayStopAlways) {
  nodes(4);
  lead_all({1, 2, 3}, {4});
  of(1, 0, 1).set_live(false);
  EXPECT_TRUE(advice(health(), identity(4)).may());
  EXPECT_FALSE(advice(health(), identity(1)).may());
}

TEST_F(HealthTest, MemberOfAnArcThatNobodyLeadsMayNotStop) {
  nodes(3);
  auto& row = *statuses[0].add_arcs();
  row.set_arc(1);
  row.set_state("voter");
  EXPECT_EQ(advice(health(), identity(1)).broken, 1U);
  EXPECT_TRUE(advice(health(), identity(2)).may());
}

TEST_F(HealthTest, OnlyVoterMayNotStopAndNobodyIsWaitedFor) {
  nodes(2);
  lead_all({1}, {2});
  auto first = advice(health(), identity(1));
  EXPECT_EQ(first.broken, 4U);
  EXPECT_THAT(first.waited_for, IsEmpty());
}

TEST_F(HealthTest, NodesAreFoundByAddressOrIdentity) {
  nodes(3);
  lead_all({1, 2, 3});
  kill(3);
  EXPECT_EQ(find_in(health(), "10.0.0.1:6002")->node, identity(2));
  EXPECT_EQ(find_in(health(), identity(1))->at.port, 6001);
  EXPECT_EQ(find_in(health(), "10.0.0.1:6003")->state, State::down);
  EXPECT_EQ(find_in(health(), "6009").code(), Errc::invalid);
  EXPECT_EQ(find_in(health(), "0000").code(), Errc::invalid) << "of all three";
}

TEST_F(HealthTest, HostileStatusIsShownNotBelieved) {
  nodes(1);
  auto& row = lead(0, {1});
  row.set_arc(4'000'000'000U);
  auto& member = *row.add_members();
  member.mutable_peer()->set_node("\033[2J");
  member.mutable_peer()->set_host("\033[2J");
  statuses[0].add_suspected("\033[2J");
  statuses[0].set_replicas(4'000'000'000U);
  statuses[0].set_zone("\xFF");
  wire::Status empty;
  statuses.push_back(empty);
  EXPECT_THAT(text(), Not(HasSubstr("\033")));
  EXPECT_THAT(boost::json::serialize(to_json(health(), Filling())), HasSubstr("\"can_lose\":0"));
}

TEST(Filling, TwoLooksTellTheRate) {
  Filling filling;
  Time now{};
  EXPECT_FALSE(filling.rate());
  filling.left(1000, now);
  EXPECT_FALSE(filling.rate());
  filling.left(800, now + 2s);
  EXPECT_DOUBLE_EQ(*filling.rate(), 100);
  EXPECT_EQ(*filling.time_left(), 8s);
}

TEST(Filling, NoForecastWhileMoreComesThanGoes) {
  Filling filling;
  filling.left(1000, Time{});
  filling.left(2000, Time{} + 1s);
  EXPECT_FALSE(filling.rate());
  EXPECT_FALSE(filling.time_left());
}

TEST(Filling, FollowsTheLastSeconds) {
  Filling filling;
  std::uint64_t left = 100'000;
  for (int second = 0; second < 100; ++second) filling.left(left -= second < 50 ? 1000 : 10, Time{} + second * 1s);
  EXPECT_NEAR(*filling.rate(), 10, 1e-6);
}

}  // namespace
}  // namespace chordfs::cli
