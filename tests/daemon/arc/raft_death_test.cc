// News that a leader's process died: Raft::died. It saves the wait for an election timeout, and decides nothing.
#include <gtest/gtest.h>

#include "tests/daemon/arc/raft_group.h"

namespace chordfs {
namespace {

using wire::RaftMessage;

/// 1 led three voters and is heard no more.
struct RaftDeath : testing::Test {
  RaftDeath() {
    EXPECT_TRUE(group.elect(1));
    group.propose_and_commit(1);
    group.alone = {1};
  }
  void tell(int number) {
    group[number].died(RaftGroup::uuid(1));
    group.run();
  }
  RaftGroup group{1, 2, 3};
};

TEST_F(RaftDeath, FirstVoterClockwiseLeadsWithoutWaiting) {
  group[3].died(RaftGroup::uuid(1));
  tell(2);
  EXPECT_TRUE(group[2].leads());
  EXPECT_FALSE(group[3].leads());
  EXPECT_EQ(group[3].leader()->node, RaftGroup::uuid(2));
}

TEST_F(RaftDeath, WhoHearsOfItLaterRefusesAndIsAskedAgainTwoTicksLater) {
  tell(2);
  EXPECT_FALSE(group[2].leads()) << "3 believes that 1 leads";
  tell(3);
  EXPECT_FALSE(group[3].leads()) << "it leaves 2 the first try";
  group.tick(2, 2);
  EXPECT_TRUE(group[2].leads());
}

TEST_F(RaftDeath, SecondVoterTriesTwoTicksLaterIfTheFirstDoesNot) {
  group[2].died(RaftGroup::uuid(1));
  group.alone = {1, 2};
  tell(3);
  EXPECT_EQ(group[3].role(), Raft::Role::follower);
  group.tick(3, 2);
  EXPECT_EQ(group[3].role(), Raft::Role::pre_candidate);
  group.alone = {1};
  group.tick(3, 2);
  EXPECT_TRUE(group[3].leads());
}

TEST_F(RaftDeath, HurryEndsAfterAFewTries) {
  group.alone = {1, 2};
  tell(2);
  group.sent.clear();
  group.tick(2, 8);
  EXPECT_LE(group.count(RaftMessage::PRE_VOTE, 3), 4);
  group.sent.clear();
  group.tick(2, 6);
  EXPECT_EQ(group.count(RaftMessage::PRE_VOTE, 3), 0) << "from then on as after any silence";
}

TEST_F(RaftDeath, TheVoterWithTheLongerLogWins) {
  group.alone = {2};
  group[1].propose("2 has not got it");
  group.run();
  group.alone = {1};
  group[2].died(RaftGroup::uuid(1));
  tell(3);
  group.tick_all(6);
  EXPECT_TRUE(group[3].leads());
}

TEST_F(RaftDeath, FalseAlarmOfOneVoterChangesNothing) {
  group.alone = {};
  const auto term = group[1].term();
  tell(2);
  group.tick_all(20);
  EXPECT_TRUE(group[1].leads());
  EXPECT_EQ(group[1].term(), term);
  EXPECT_EQ(group[2].leader()->node, RaftGroup::uuid(1));
}

TEST_F(RaftDeath, FalseAlarmOfAllCostsOneElection) {
  group.alone = {};
  const auto term = group[1].term();
  group[3].died(RaftGroup::uuid(1));
  tell(2);
  EXPECT_EQ(group[1].term(), term + 1);
  EXPECT_FALSE(group[1].leads());
  group.tick_all(20);
  EXPECT_TRUE(group[2].leads());
  EXPECT_EQ(group[2].term(), term + 1);
}

TEST_F(RaftDeath, WhatTheDeadSentBeforeIsTakenAndNoSignOfLife) {
  group[1].propose("on its way");
  const auto late = group[1].take_messages();
  tell(2);
  for (const auto& out : late)
    if (out.to.node == RaftGroup::uuid(2)) group[2].step(RaftGroup::uuid(1), out.message);
  group.run();
  EXPECT_EQ(group[2].log().last(), group[1].log().last());
  EXPECT_FALSE(group[2].heard_leader());
  tell(3);
  group.tick(2, 2);
  EXPECT_TRUE(group[2].leads());
}

TEST_F(RaftDeath, DeathOfAFollowerIsNoNewsForAnElection) {
  group.alone = {};
  group.sent.clear();
  group[1].died(RaftGroup::uuid(3));
  group[2].died(RaftGroup::uuid(3));
  group.run();
  EXPECT_TRUE(group[1].leads());
  EXPECT_EQ(group.count(RaftMessage::PRE_VOTE, 1), 0);
}

TEST_F(RaftDeath, ALearnerOnlyStopsBelievingInTheDeadLeader) {
  auto view = RaftGroup::view_of({1, 2, 3});
  view.learners.push_back(RaftGroup::replica(4));
  auto& learner = group.add(4, RaftLog(1, 1, view, 1));
  RaftMessage append;
  append.set_kind(RaftMessage::APPEND);
  append.set_term(group[1].term());
  append.set_from_term(1), append.set_from_index(1);
  append.set_to_term(1), append.set_to_index(1);
  append.set_log_index(1), append.set_log_term(1);
  learner.step(RaftGroup::uuid(1), append);
  ASSERT_TRUE(learner.heard_leader());
  tell(4);
  EXPECT_FALSE(learner.heard_leader());
  EXPECT_EQ(learner.role(), Raft::Role::follower);
}

}  // namespace
}  // namespace chordfs
