// From every situation to the one that the ring wants, step by step, with voters always odd.
#include "daemon/arc/view_step.h"

#include <gtest/gtest.h>

#include "tests/daemon/arc/raft_group.h"

namespace chordfs {
namespace {

/// An arc whose every step succeeds.
struct Walk {
  ArcView view;
  int leader = 1;
  std::set<int> dead, leaving;
  std::uint64_t index = 1;
  int steps = 0, joints = 0;
  std::set<std::pair<Uuid, Generation>> complete;

  static Replicas nodes(std::initializer_list<int> numbers) {
    Replicas all;
    for (int one : numbers) all.push_back(RaftGroup::replica(one, {}));
    return all;
  }
  Standing standing(const Replicas& desired) const {
    return {.view = view,
            .committed = true,
            .overdue = false,
            .self = *view.find(RaftGroup::uuid(leader)),
            .desired = desired,
            .live = [this](const Replica& one) { return !dead.contains(one.at.port); },
            .dead = [this](const Replica& one) { return dead.contains(one.at.port); },
            .complete = [this](const Replica& one) { return complete.contains({one.node, one.generation}); },
            .leaving =
                [this](const Uuid& one) {
                  return std::ranges::any_of(leaving, [&](int n) { return RaftGroup::uuid(n) == one; });
                }};
  }
  void go(std::initializer_list<int> wanted) {
    const auto desired = nodes(wanted);
    for (int i = 0; i < 60; ++i) {
      const auto step = next_step(standing(desired));
      if (step.settled()) return;
      ++steps;
      if (step.make_whole) complete.insert({step.make_whole->node, step.make_whole->generation});
      if (step.hand_over_to) leader = view.find(*step.hand_over_to)->at.port;
      if (!step.propose) continue;
      auto next = *step.propose;
      ++index;
      for (auto& one : next.learners)
        if (one.generation == Generation()) one.generation = {1, index};
      ASSERT_TRUE(view_from(to_wire(next))) << view.text() << " to " << next.text();
      if (next.joint()) {
        ++joints;
        EXPECT_EQ(next.old_voters, view.voters);
        for (const auto& one : next.voters)
          EXPECT_TRUE(std::ranges::count(view.voters, one) > 0 || complete.contains({one.node, one.generation}))
              << next.text();
      } else if (!view.joint()) {
        EXPECT_EQ(next.voters, view.voters) << "voters change through a joint view";
      }
      view = next;
      // A leader that votes no longer steps down, and somebody who does leads.
      if (!view.joint() && find_replica(view.voters, RaftGroup::uuid(leader)) == nullptr) {
        for (const auto& one : view.voters)
          if (!dead.contains(one.at.port)) leader = one.at.port;
      }
    }
    FAIL() << "never settles: " << view.text();
  }
  std::set<int> voters() const {
    std::set<int> numbers;
    for (const auto& one : view.voters) numbers.insert(one.at.port);
    return numbers;
  }
  std::set<int> learners() const {
    std::set<int> numbers;
    for (const auto& one : view.learners) numbers.insert(one.at.port);
    return numbers;
  }
};

using Set = std::set<int>;

TEST(ViewStep, GrowsFromOneToFive) {
  Walk walk{.view = RaftGroup::view_of({1})};
  walk.go({1, 2});
  EXPECT_EQ(walk.voters(), Set({1}));
  EXPECT_EQ(walk.learners(), Set({2}));
  walk.go({1, 2, 3});
  EXPECT_EQ(walk.voters(), Set({1, 2, 3}));
  EXPECT_EQ(walk.learners(), Set());
  walk.go({1, 2, 3, 4});
  EXPECT_EQ(walk.voters(), Set({1, 2, 3}));
  EXPECT_EQ(walk.learners(), Set({4}));
  walk.go({1, 2, 3, 4, 5});
  EXPECT_EQ(walk.voters(), Set({1, 2, 3, 4, 5}));
}

TEST(ViewStep, ShrinksFromFiveToOneWhenNodesLeave) {
  Walk walk{.view = RaftGroup::view_of({1, 2, 3, 4, 5})};
  walk.leaving = {5, 4};
  walk.go({1, 2, 3});
  EXPECT_EQ(walk.voters(), Set({1, 2, 3}));
  walk.leaving = {5, 4, 1};
  walk.go({2, 3});
  EXPECT_EQ(walk.voters(), Set({2}));
  EXPECT_EQ(walk.learners(), Set({3}));
  EXPECT_EQ(walk.leader, 2);
  walk.leaving = {5, 4, 1, 2};
  walk.go({3});
  EXPECT_EQ(walk.voters(), Set({3}));
  EXPECT_EQ(walk.learners(), Set());
}

TEST(ViewStep, DeadVoterIsReplacedBeforeALivingOne) {
  Walk walk{.view = RaftGroup::view_of({1, 2, 3})};
  walk.dead = {3};
  walk.go({1, 4, 5});
  EXPECT_EQ(walk.voters(), Set({1, 4, 5}));
  Walk first{.view = RaftGroup::view_of({1, 2, 3})};
  first.view.learners = {RaftGroup::replica(4, {1, 2}), RaftGroup::replica(5, {1, 2})};
  first.complete = {{RaftGroup::uuid(4), {1, 2}}, {RaftGroup::uuid(5), {1, 2}}};
  first.dead = {3};
  const auto step = next_step(first.standing(Walk::nodes({1, 4, 5})));
  ASSERT_TRUE(step.propose);
  EXPECT_EQ(find_replica(step.propose->voters, RaftGroup::uuid(3)), nullptr);
  EXPECT_NE(find_replica(step.propose->voters, RaftGroup::uuid(2)), nullptr);
}

TEST(ViewStep, SilenceNeverMakesAGroupSmaller) {
  Walk walk{.view = RaftGroup::view_of({1, 2, 3})};
  walk.dead = {2, 3};
  walk.go({1});
  EXPECT_EQ(walk.voters(), Set({1, 2, 3}));
  EXPECT_EQ(walk.steps, 0);
}

TEST(ViewStep, LeaderThatIsNotWantedHandsOverAndIsReplaced) {
  Walk walk{.view = RaftGroup::view_of({1, 2, 3})};
  walk.leaving = {1};
  walk.go({2, 3, 4});
  EXPECT_EQ(walk.voters(), Set({2, 3, 4}));
  EXPECT_EQ(walk.leader, 2);
}

TEST(ViewStep, JoinerBecomesLeaderWhereItComesFirst) {
  Walk walk{.view = RaftGroup::view_of({1, 2, 3})};
  walk.go({9, 1, 2});
  EXPECT_EQ(walk.voters(), Set({9, 1, 2}));
  EXPECT_EQ(walk.leader, 9);
}

TEST(ViewStep, EverybodyIsReplacedOneByOne) {
  Walk walk{.view = RaftGroup::view_of({1, 2, 3})};
  walk.go({4, 5, 6});
  EXPECT_EQ(walk.voters(), Set({4, 5, 6}));
  EXPECT_EQ(walk.joints, 3);
}

TEST(ViewStep, OverdueJointViewIsTakenBack) {
  Walk walk{.view = {.voters = RaftGroup::view_of({1, 2, 4}).voters,
                     .old_voters = RaftGroup::view_of({1, 2, 3}).voters,
                     .learners = {}}};
  auto standing = walk.standing(Walk::nodes({1, 2, 4}));
  standing.committed = false;
  EXPECT_TRUE(next_step(standing).settled());
  standing.overdue = true;
  const auto step = next_step(standing);
  ASSERT_TRUE(step.propose);
  EXPECT_EQ(step.propose->voters, walk.view.old_voters);
  EXPECT_EQ(step.propose->learners.size(), 1U);
}

TEST(ViewStep, NothingHappensWhileAViewIsNotCommitted) {
  Walk walk{.view = RaftGroup::view_of({1})};
  auto standing = walk.standing(Walk::nodes({1, 2, 3}));
  standing.committed = false;
  EXPECT_TRUE(next_step(standing).settled());
}

}  // namespace
}  // namespace chordfs
