#include "daemon/arc/raft/view.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/daemon/arc/raft_group.h"

namespace chordfs {
namespace {

ArcView view_of(std::initializer_list<int> voters) {
  return RaftGroup::view_of(voters);
}

TEST(ArcView, IsReadAsItWasWritten) {
  ArcView view{.voters = view_of({1, 2, 3}).voters,
               .old_voters = view_of({1}).voters,
               .learners = {RaftGroup::replica(4, {2, 9})}};
  const auto read = view_from(to_wire(view));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, view);
  EXPECT_EQ(read->learners[0].generation, Generation(2, 9));
  EXPECT_EQ(read->everybody().size(), 4U);
}

/// Relaxed durability: who is in doubt may have forgotten what it acknowledged.
TEST(ArcView, VotesOfThoseInDoubtCountWhenNobodyElseCanKnowMore) {
  const auto three = view_of({1, 2, 3});
  auto elected = [](const ArcView& view, std::set<int> voted, std::set<int> doubtful) {
    auto among = [](const std::set<int>& some) {
      return [&some](const Replica& one) { return some.contains(one.at.port); };
    };
    return elects(view, among(voted), among(doubtful));
  };
  EXPECT_TRUE(elected(three, {1, 2}, {}));
  EXPECT_TRUE(elected(three, {1, 2}, {3}));
  EXPECT_FALSE(elected(three, {1}, {2, 3})) << "no majority of votes";
  EXPECT_FALSE(elected(three, {1, 2}, {2})) << "3 may have what 2 forgot";
  EXPECT_TRUE(elected(three, {1, 2, 3}, {2})) << "and has said that it knows no more";
  EXPECT_TRUE(elected(three, {1, 2}, {2, 3})) << "a majority lost its power";
  EXPECT_TRUE(elected(view_of({1}), {1}, {1}));
  ArcView joint{.voters = view_of({1, 2, 3}).voters, .old_voters = view_of({3, 4, 5}).voters, .learners = {}};
  EXPECT_FALSE(elected(joint, {1, 2, 3, 4}, {4})) << "in the old view 5 may know more";
  EXPECT_TRUE(elected(joint, {1, 2, 3, 4, 5}, {4}));
}

TEST(ArcView, MalformedIsRefused) {
  EXPECT_FALSE(view_from(wire::View()));
  EXPECT_FALSE(view_from(to_wire(view_of({1, 2}))));
  EXPECT_FALSE(view_from(to_wire(view_of({1, 2, 2}))));
  EXPECT_FALSE(
      view_from(to_wire({.voters = view_of({1}).voters, .old_voters = view_of({1, 2}).voters, .learners = {}})));
  EXPECT_FALSE(view_from(to_wire({.voters = view_of({1}).voters, .old_voters = {}, .learners = view_of({1}).voters})));
  EXPECT_FALSE(view_from(
      to_wire({.voters = view_of({1}).voters, .old_voters = {RaftGroup::replica(1, {2, 2})}, .learners = {}})));
  auto bad = to_wire(view_of({1}));
  bad.mutable_voters(0)->mutable_peer()->set_node("short");
  EXPECT_FALSE(view_from(bad));
  bad = to_wire(view_of({1}));
  bad.mutable_voters(0)->mutable_peer()->set_port(65536);
  EXPECT_FALSE(view_from(bad));
  EXPECT_FALSE(view_from(std::string("\xff\xff", 2)));
}

TEST(ArcView, HasALimitOfMembers) {
  ArcView view = view_of({1});
  for (int i = 2; i <= kMembersMax; ++i) view.learners.push_back(RaftGroup::replica(i));
  EXPECT_TRUE(view_from(to_wire(view)));
  view.learners.push_back(RaftGroup::replica(99));
  EXPECT_FALSE(view_from(to_wire(view)));
}

TEST(ArcView, JointMajorityIsOfBothSets) {
  const ArcView joint{.voters = view_of({1, 2, 4}).voters, .old_voters = view_of({1, 2, 3}).voters, .learners = {}};
  auto only = [](std::initializer_list<int> who) {
    return [who](const Replica& one) { return std::ranges::count(who, one.at.port) > 0; };
  };
  EXPECT_TRUE(majority(joint, only({1, 2})));
  EXPECT_FALSE(majority(joint, only({1, 4})));
  EXPECT_FALSE(majority(joint, only({1, 3})));
  EXPECT_TRUE(majority(joint, only({1, 3, 4})));
  EXPECT_EQ(reached_by_majority(joint, [](const Replica& one) { return std::uint64_t{one.at.port}; }), 2U);
}

}  // namespace
}  // namespace chordfs
