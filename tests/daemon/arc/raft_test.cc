// The Raft core, one rule a test. Findings: replication.md 6.
#include <gtest/gtest.h>

#include "daemon/arc/raft/defects.h"
#include "tests/daemon/arc/raft_group.h"
#include "tools/sim/rng.h"

namespace chordfs {
namespace {

using wire::RaftMessage;

wire::RaftMessage message(RaftMessage::Kind kind, std::uint64_t term, std::uint64_t index = 0,
                          std::uint64_t log_term = 0) {
  wire::RaftMessage made;
  made.set_kind(kind);
  made.set_term(term);
  made.set_from_term(1), made.set_from_index(1);
  made.set_to_term(1), made.set_to_index(1);
  made.set_log_index(index);
  made.set_log_term(log_term);
  return made;
}
void add_entry(wire::RaftMessage& append, std::uint64_t term, std::string payload = "x") {
  auto& entry = *append.add_entries();
  entry.set_term(term);
  entry.set_payload(std::move(payload));
}

TEST(Raft, LoneVoterLeadsOnlyOnceItsVoteIsDurable) {
  RaftGroup group({1});
  group.slow = {1};
  group.tick(1);
  EXPECT_FALSE(group[1].leads());
  group[1].persisted(group.waiting[1].at(0));
  EXPECT_TRUE(group[1].leads());
}

TEST(Raft, LoneVoterCommitsWhatIsDurable) {
  RaftGroup group({1});
  ASSERT_TRUE(group.elect(1));
  group.slow = {1};
  const auto index = group[1].propose("x");
  group.run();
  EXPECT_LT(group[1].commit(), *index);
  group[1].persisted(group.waiting[1].back());
  EXPECT_EQ(group[1].commit(), *index);
  EXPECT_EQ(group[1].committed_here(), *index);
}

TEST(Raft, MajorityCommitsWithoutTheThird) {
  RaftGroup group({1, 2, 3});
  group.alone = {3};
  ASSERT_TRUE(group.elect(1));
  const auto index = group[1].propose("x");
  group.run();
  EXPECT_EQ(group[1].commit(), *index);
  group.tick(1, 2);
  EXPECT_EQ(group[2].commit(), *index);
  EXPECT_LT(group[3].commit(), *index);
}

TEST(Raft, Finding2SnapshotKeepsTheLogThatFollowsIt) {
  RaftGroup group({1, 2, 3});
  ASSERT_TRUE(group.elect(1));
  for (int i = 0; i < 4; ++i) group[1].propose("x");
  group.run();
  const auto last = group[2].log().last();
  const auto term = group[1].term();
  EXPECT_TRUE(group[2].install(3, term, group[1].view(), 1));
  EXPECT_EQ(group[2].log().base(), 3U);
  EXPECT_EQ(group[2].log().last(), last);
  EXPECT_EQ(group[2].durable(), last);
  const auto write = group[2].take_write();
  ASSERT_TRUE(write);
  EXPECT_TRUE(write->new_base);
  EXPECT_FALSE(write->truncate);
}

TEST(Raft, SnapshotOfAnotherHistoryReplacesTheLogAndIsAcknowledgedOnceDurable) {
  RaftGroup group({1, 2, 3});
  auto append = message(RaftMessage::APPEND, 2, 1, 1);
  add_entry(append, 2);
  group[2].step(group.uuid(1), append);
  group.run();
  EXPECT_TRUE(group[2].install(9, 3, group[2].view(), 1));
  EXPECT_EQ(group[2].log().last(), 9U);
  EXPECT_LT(group[2].committed_here(), 9U);
  const auto write = group[2].take_write();
  ASSERT_TRUE(write && write->truncate);
  EXPECT_EQ(*write->truncate, 0U);
  group[2].persisted(write->id);
  EXPECT_EQ(group[2].committed_here(), 9U);
}

TEST(Raft, Finding3RepeatedRefusalsBreedNoMessages) {
  RaftGroup group({1, 2, 3});
  ASSERT_TRUE(group.elect(1));
  group.tick(1, 2);
  auto refusal = message(RaftMessage::APPEND_REPLY, group[1].term(), 1, group[1].log().last() + 1);
  refusal.set_reject(true);
  refusal.set_log_term(group[1].log().last());
  group.alone = {2};
  for (int i = 0; i < 50; ++i) {
    group[1].step(group.uuid(2), refusal);
    group.run();
  }
  EXPECT_LE(group.count(RaftMessage::APPEND, 2), 10);
}

TEST(Raft, Finding4RefusedPreVoteTeachesTheTerm) {
  RaftGroup group({1, 2, 3});
  group.add(2, RaftLog(1, 1, group.view_of({1, 2, 3}), 1), {1, 1}, {.term = 9, .vote = {}});
  group.alone = {3};
  ASSERT_TRUE(group.elect(1));
  EXPECT_EQ(group[1].term(), 10U);
}

TEST(Raft, Finding6AcknowledgesOnlyWhatIsDurableEvenIfCommitted) {
  RaftGroup group({1, 2, 3});
  group.slow = {2};
  auto append = message(RaftMessage::APPEND, 2, 1, 1);
  add_entry(append, 2);
  append.set_commit(2);
  group[2].step(group.uuid(1), append);
  group.run();
  EXPECT_EQ(group[2].commit(), 2U);
  EXPECT_EQ(group[2].committed_here(), 1U);
  for (auto& [from, out] : group.sent) EXPECT_LE(out.message.log_index(), 1U);
  group.sent.clear();
  group[2].persisted(group.waiting[2].back());
  group.run();
  ASSERT_FALSE(group.sent.empty());
  EXPECT_EQ(group.sent.back().second.message.log_index(), 2U);
  EXPECT_EQ(group[2].committed_here(), 2U);
}

TEST(Raft, Finding7OneThatOnlyAnUncommittedViewExcludesMayLead) {
  RaftGroup group({1, 2, 3});
  RaftLog log(
      1, 1, {.voters = group.view_of({2, 3, 4}).voters, .old_voters = group.view_of({1, 2, 3}).voters, .learners = {}},
      1);
  std::string payload;
  to_wire(group.view_of({2, 3, 4})).SerializeToString(&payload);
  ASSERT_TRUE(log.append({2, EntryKind::view, payload}));
  group.add(1, log, {1, 1}, {.term = 2, .vote = {}});
  for (int i = 0; i < 40 && group[1].commit() < 3; ++i) group.tick(1);
  // It leads, commits the view that excludes it, and goes; another is told to go on.
  EXPECT_EQ(group[1].commit(), 3U);
  EXPECT_FALSE(group[1].leads());
  EXPECT_TRUE(group[2].leads() || group[3].leads());
}

TEST(Raft, Finding8JointViewThatDoesNotCommitIsTakenBack) {
  RaftGroup group({1});
  ASSERT_TRUE(group.elect(1));
  ArcView joint{.voters = {group.replica(2, {1, 2})}, .old_voters = {group.replica(1)}, .learners = {}};
  ASSERT_TRUE(group[1].propose_view(joint));
  group.run();
  EXPECT_FALSE(group[1].view_committed());
  EXPECT_FALSE(group[1].propose_view({.voters = {group.replica(2, {1, 2})}, .old_voters = {}, .learners = {}}));
  ASSERT_TRUE(group[1].propose_view(group.view_of({1})));
  group.run();
  EXPECT_TRUE(group[1].view_committed());
  EXPECT_FALSE(group[1].view().joint());
}

TEST(Raft, Finding9NobodyIsSpokenToBeforeTheEntryThatAddsItIsCommitted) {
  RaftGroup group({1, 2, 3});
  ASSERT_TRUE(group.elect(1));
  group.alone = {2, 3};
  auto next = group[1].view();
  next.learners.push_back(group.replica(4, {}));
  ASSERT_TRUE(group[1].propose_view(next));
  EXPECT_FALSE(group[1].propose_view(next)) << "one change at a time";
  group.tick(1, 3);
  EXPECT_EQ(group.count(RaftMessage::APPEND, 4) + group.count(RaftMessage::SNAPSHOT, 4), 0);
  group.alone = {3};
  group.tick(1, 4);
  EXPECT_GT(group.count(RaftMessage::APPEND, 4) + group.count(RaftMessage::SNAPSHOT, 4), 0);
  EXPECT_EQ(group[1].view().learners[0].generation, Generation(group[1].term(), group[1].view_index()));
}

TEST(Raft, LearnerGetsNoEntryBeforeItIsCommitted) {  // raft_sim, a learner that nobody could be elected without
  RaftGroup group({});
  auto view = group.view_of({1, 2, 3});
  view.learners = {group.replica(4)};
  for (int one : {1, 2, 3, 4}) group.add(one, RaftLog(1, 1, view, 1));
  ASSERT_TRUE(group.elect(1));
  group.tick(1, 3);
  const auto committed = group[1].commit();
  EXPECT_EQ(group[4].log().last(), committed);
  group.alone = {2, 3};
  ASSERT_TRUE(group[1].propose("x"));
  group.tick(1, 3);
  EXPECT_EQ(group[4].log().last(), committed);
  group.alone = {};
  group.tick(1, 3);
  EXPECT_EQ(group[4].log().last(), committed + 1);
}

TEST(Raft, RestartedLeaderSpeaksToMembersMadeBeyondWhatItKnowsAsCommitted) {  // raft_sim seed 87
  RaftGroup group({1});
  auto put = [](RaftLog& log, const ArcView& view) {
    std::string payload;
    to_wire(view).SerializeToString(&payload);
    ASSERT_TRUE(log.append({1, EntryKind::view, payload}));
  };
  const Replicas fresh{group.replica(2, {1, 2}), group.replica(3, {1, 2})};
  RaftLog log(1, 1, group.view_of({1}), 1);
  put(log, {.voters = {group.replica(1)}, .old_voters = {}, .learners = fresh});
  put(log, {.voters = {group.replica(1), fresh[0], fresh[1]}, .old_voters = {group.replica(1)}, .learners = {}});
  group.add(1, log, {1, 1}, {.term = 1, .vote = {}});
  group.add(2, log, {1, 2}, {.term = 1, .vote = {}});
  group.add(3, log, {1, 2}, {.term = 1, .vote = {}});
  ASSERT_TRUE(group.elect(1));
  group.run();
  EXPECT_TRUE(group[1].ready());
}

TEST(Raft, Finding11CompletionOfAnOverwrittenEntrySaysNothingOfItsSuccessor) {
  RaftGroup group({1, 2, 3});
  group.slow = {2};
  auto append = message(RaftMessage::APPEND, 2, 1, 1);
  add_entry(append, 2);
  group[2].step(group.uuid(1), append);
  group.run();
  append = message(RaftMessage::APPEND, 3, 1, 1);
  add_entry(append, 3);
  group[2].step(group.uuid(3), append);
  group.run();
  ASSERT_EQ(group.waiting[2].size(), 2U);
  group[2].persisted(group.waiting[2][0]);
  EXPECT_EQ(group[2].durable(), 1U);
  group[2].persisted(group.waiting[2][1]);
  EXPECT_EQ(group[2].durable(), 2U);
}

TEST(Raft, Figure8EntryOfAnOldTermDoesNotCommitByCounting) {
  RaftGroup group({1, 2, 3});
  RaftLog log(1, 1, group.view_of({1, 2, 3}), 1);
  ASSERT_TRUE(log.append({1, EntryKind::operation, "old"}));
  group.add(1, log, {1, 1}, {.term = 1, .vote = {}});
  group.add(2, log, {1, 1}, {.term = 1, .vote = {}});
  ASSERT_TRUE(group.elect(1));
  group.alone = {2, 3};
  auto& fresh = group.add(1, log, {1, 1}, {.term = 5, .vote = {}});
  for (int i = 0; i < 20 && fresh.role() == Raft::Role::follower; ++i) group.tick(1);
  auto grant = message(RaftMessage::PRE_VOTE_REPLY, 6);
  fresh.step(group.uuid(2), grant);
  group.run();
  fresh.step(group.uuid(2), message(RaftMessage::VOTE_REPLY, 6));
  group.run();
  ASSERT_TRUE(fresh.leads());
  fresh.step(group.uuid(2), message(RaftMessage::APPEND_REPLY, 6, 2));
  EXPECT_EQ(fresh.commit(), 1U);
  fresh.step(group.uuid(2), message(RaftMessage::APPEND_REPLY, 6, 3));
  EXPECT_EQ(fresh.commit(), 3U);
}

TEST(Raft, DeposedLeaderConfirmsNoRead) {
  RaftGroup group({1, 2, 3});
  ASSERT_TRUE(group.elect(1));
  const auto good = group[1].request_round();
  group.run();
  EXPECT_GE(group[1].confirmed_round(), good);
  group.alone = {1};
  const auto bad = group[1].request_round();
  for (int i = 0; i < 40 && !group[2].leads(); ++i) group.tick(2), group.tick(3);
  group.run();
  ASSERT_TRUE(group[2].leads() || group[3].leads());
  EXPECT_LT(group[1].confirmed_round(), bad);
}

TEST(Raft, LeaderThatNobodyFollowsStepsDown) {
  RaftGroup group({1, 2, 3});
  ASSERT_TRUE(group.elect(1));
  group.alone = {1};
  group.tick(1, 20);
  EXPECT_FALSE(group[1].leads());
  EXPECT_EQ(group[1].propose("x"), std::nullopt);
}

TEST(Raft, VoterThatHearsItsLeaderDoesNotVote) {
  RaftGroup group({1, 2, 3});
  ASSERT_TRUE(group.elect(1));
  group.tick(1, 2);
  const auto term = group[2].term();
  group[2].step(group.uuid(3), message(RaftMessage::VOTE, term + 5, 99, 99));
  EXPECT_EQ(group[2].term(), term);
  auto told = message(RaftMessage::VOTE, term + 5, 99, 99);
  told.set_transfer(true);
  group[2].step(group.uuid(3), told);
  EXPECT_EQ(group[2].term(), term + 5);
  EXPECT_EQ(group[2].vote(), group.uuid(3));
}

TEST(Raft, VotesOncePerTermAndOnlyForWhoHasAll) {
  RaftGroup group({1, 2, 3});
  group[2].step(group.uuid(1), message(RaftMessage::VOTE, 5, 0, 0));
  EXPECT_TRUE(group[2].vote().empty());
  group[2].step(group.uuid(1), message(RaftMessage::VOTE, 5, 1, 1));
  EXPECT_EQ(group[2].vote(), group.uuid(1));
  group[2].step(group.uuid(3), message(RaftMessage::VOTE, 5, 9, 9));
  EXPECT_EQ(group[2].vote(), group.uuid(1));
}

TEST(Raft, VoteIsAnsweredOnceItIsDurable) {
  RaftGroup group({1, 2, 3});
  group.slow = {2};
  group[2].step(group.uuid(1), message(RaftMessage::VOTE, 5, 1, 1));
  group.run();
  EXPECT_EQ(group.count(RaftMessage::VOTE_REPLY, 1), 0);
  group[2].persisted(group.waiting[2].back());
  group.run();
  EXPECT_EQ(group.count(RaftMessage::VOTE_REPLY, 1), 1);
}

TEST(Raft, TransferMovesLeadershipAtOnce) {
  RaftGroup group({1, 2, 3});
  ASSERT_TRUE(group.elect(1));
  group.tick(1, 3);
  EXPECT_FALSE(group[1].transfer(group.uuid(9)));
  EXPECT_TRUE(group[1].transfer(group.uuid(3)));
  EXPECT_EQ(group[1].propose("x"), std::nullopt);
  group.run();
  EXPECT_TRUE(group[3].leads());
  EXPECT_FALSE(group[1].leads());
}

TEST(Raft, PassiveReplicaDoesNotCampaign) {
  RaftGroup group({1, 2, 3});
  group.add(1, RaftLog(1, 1, group.view_of({1, 2, 3}), 1), {1, 1}, {}, true);
  EXPECT_FALSE(group.elect(1));
}

TEST(Raft, RemovedReplicaIsToldThatItIsGone) {
  RaftGroup group({1});
  group.add(2, RaftLog(1, 1, group.view_of({2, 1, 3}), 1), {1, 1});
  ASSERT_TRUE(group.elect(1));
  group.tick(2, 60);
  EXPECT_TRUE(group[2].gone());
}

TEST(Raft, DeposedLeaderDoesNotTellMembersOfANewerViewThatTheyAreGone) {
  RaftGroup group({1, 2, 3});
  ASSERT_TRUE(group.elect(1));
  group.tick(1, 3);
  ASSERT_TRUE(group[1].ready());
  auto ask = message(RaftMessage::PRE_VOTE, group[1].term() + 3, 200, group[1].term() + 2);
  ask.set_from_term(group[1].term() + 2), ask.set_from_index(100);
  group.sent.clear();
  group[1].step(group.uuid(4), ask);
  group.run();
  EXPECT_EQ(group.count(RaftMessage::GONE, 4), 0);
}

TEST(Raft, WhatIsMeantForAnotherGenerationIsNotLookedAt) {
  RaftGroup group({1, 2, 3});
  auto append = message(RaftMessage::APPEND, 5, 1, 1);
  append.set_to_index(2);
  group[2].step(group.uuid(1), append);
  EXPECT_EQ(group[2].term(), 0U);
}

TEST(Raft, AnotherEntryThanTheCommittedOneIsAFault) {
  RaftGroup group({1, 2, 3});
  ASSERT_TRUE(group.elect(1));
  group.tick(1, 3);
  auto lie = message(RaftMessage::APPEND, group[2].term() + 1, 1, 1);
  add_entry(lie, group[2].term() + 1);
  group[2].step(group.uuid(3), lie);
  EXPECT_TRUE(group[2].fault());
}

TEST(Raft, NonsenseIsDropped) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Rng rng(seed);
    RaftGroup group({1, 2, 3});
    if (seed % 2 == 0) ASSERT_TRUE(group.elect(1));
    auto number = [&]() -> std::uint64_t {
      switch (rng.below(4)) {
        case 0:
          return rng.below(4);
        case 1:
          return ~std::uint64_t{0} - 8 - rng.below(3);
        case 2:
          return rng.next() >> 1;
        default:
          return group[1].log().last() + rng.below(3);
      }
    };
    for (int i = 0; i < 60; ++i) {
      auto odd = message(static_cast<RaftMessage::Kind>(rng.below(12)),
                         rng.chance(0.9) ? group[1].term() : rng.below(9), number(), number());
      odd.set_commit(number());
      odd.set_round(number());
      odd.set_reject(rng.chance(0.5));
      for (auto entries = rng.below(4); entries > 0; --entries) {
        add_entry(odd, rng.below(6), std::string(rng.below(20), static_cast<char>(rng.below(256))));
        odd.mutable_entries()->rbegin()->set_kind(static_cast<std::uint32_t>(rng.below(5)));
      }
      const auto commit = group[1].commit();
      group[1].step(group.uuid(2 + static_cast<int>(rng.below(3))), odd);
      group.write(1);
      group[1].take_messages();
      if (rng.chance(0.2)) group[1].tick();
      EXPECT_GE(group[1].commit(), commit);
      EXPECT_LE(group[1].commit(), group[1].log().last());
    }
  }
}

}  // namespace
}  // namespace chordfs
