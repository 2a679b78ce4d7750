#include "daemon/arc/raft/view.h"

#include <gtest/gtest.h>

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
