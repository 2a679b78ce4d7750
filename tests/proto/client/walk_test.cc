// RingClient among scripted nodes: the walk round the ring, and calls guided by the cache.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/client/ring_client.h"
#include "tests/proto/client/circle.h"

namespace chordfs::test {
namespace {

using State = Circle::State;

struct WalkTest : testing::Test {
  void SetUp() override {
    circle.answers = [this](int n, const Request&) {
      Reply reply;
      auto& status = *reply.header.mutable_status();
      status.mutable_peer()->set_node(circle[n].node.bytes());
      auto& position = *status.add_positions();
      int size = static_cast<int>(circle.positions.size());
      for (int i = 1; i <= 4; ++i) *position.add_successors() = to_wire(circle[(n + i) % size]);
      return reply;
    };
  }
  void TearDown() override { circle.world.run(client.stop()); }

  Circle circle{40};
  RingClient client{circle.world.runtime(), circle, {circle[0].at}};
};

TEST_F(WalkTest, MeetsEveryNodeOnce) {
  auto nodes = circle.world.run(client.walk(false));
  ASSERT_TRUE(nodes);
  EXPECT_EQ(nodes->size(), 40U);
  EXPECT_EQ(circle.asked.size(), 40U);
}

TEST_F(WalkTest, FrozenNodesCostTheirTimeoutTogether) {
  for (int n : {1, 2, 5, 6, 9, 10, 13, 14}) circle.states[n] = State::silent;
  auto began = circle.world.now();
  auto nodes = circle.world.run(client.walk(false));
  ASSERT_TRUE(nodes);
  EXPECT_EQ(nodes->size(), 32U);
  EXPECT_LT(circle.world.now() - began, 2 * kClientCallTimeout);
}

TEST_F(WalkTest, NobodyThereIsAnError) {
  circle.states[0] = State::refusing;
  EXPECT_EQ(circle.world.run(client.walk(false)).code(), Errc::unreachable);
}

TEST_F(WalkTest, StoppingEndsIt) {
  circle.states[0] = State::silent;
  circle.world.after(10ms, [this] { circle.world.spawn("stop", client.stop()); });
  EXPECT_EQ(circle.world.run(client.walk(false)).code(), Errc::cancelled);
}

}  // namespace
}  // namespace chordfs::test
