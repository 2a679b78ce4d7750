// Defects are planted in rings, to see that the judge finds them; a ring without defects holds.
#include "tools/sim/chord_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

namespace chordfs {
namespace {

constexpr std::size_t kNodes = 8;

using Defect = decltype(ChordWorldOptions::defect);

/// What `planted` leads to in an ideal ring of eight, and while two more join.
std::string first_violation(Defect planted) {
  spdlog::set_level(spdlog::level::off);
  bool armed = false;
  Defect defect = [&](std::size_t index, const Endpoint& to, const Request& request) {
    return armed && planted ? planted(index, to, request) : std::nullopt;
  };
  ChordWorld ring({.seed = 3, .successor_nodes = 2, .defect = defect});
  ring.found();
  for (std::size_t n = 1; n < kNodes; ++n) ring.add_node();
  EXPECT_EQ(ring.settle(60s), "");
  armed = true;
  for (int n = 0; n < 2; ++n) {
    ring.add_node();
    ring.world().run_for(10s);
  }
  return ring.violations().empty() ? "" : ring.violations().front();
}

TEST(ChordWorld, FindsNothingInASoundRing) {
  EXPECT_EQ(first_violation(nullptr), "");
}

TEST(ChordWorld, FindsOneThatTakesALiveNodeForDead) {
  // Node 5 does not believe that anyone but the first is alive.
  auto planted = [](std::size_t index, const Endpoint& to, const Request& request) -> std::optional<Result<Reply>> {
    if (index != 5 || !request.header.has_neighbours() || to.port == 6000) return std::nullopt;
    return Error{Errc::unreachable, "planted"};
  };
  EXPECT_THAT(first_violation(planted), testing::ContainsRegex("C5|C8|C9|C14|C17"));
}

TEST(ChordWorld, FindsOneThatAdoptsWithoutAsking) {
  // Node 5 makes up the answers of others from what they said last, without asking.
  std::map<std::pair<Endpoint, std::uint32_t>, Reply> said;
  auto planted = [&said](std::size_t index, const Endpoint& to,
                         const Request& request) -> std::optional<Result<Reply>> {
    if (index != 5 || !request.header.has_neighbours()) return std::nullopt;
    Reply& reply = said[{to, request.header.neighbours().index()}];
    auto& neighbours = *reply.header.mutable_neighbours();
    const auto node = ChordWorld::identity(3, to.port - 6000);
    *neighbours.mutable_self() = to_wire(Position{position_id(node, 0), node, 0, to});
    *neighbours.mutable_predecessor() = neighbours.self();
    return reply;
  };
  EXPECT_THAT(first_violation(planted), testing::ContainsRegex("C12|C14"));
}

TEST(ChordWorld, FindsARingThatDoesNotComeToRest) {
  spdlog::set_level(spdlog::level::off);
  ChordWorld ring({.seed = 5, .successor_nodes = 2});
  ring.found();
  for (int n = 0; n < 3; ++n) ring.add_node();
  EXPECT_EQ(ring.settle(60s), "");
  EXPECT_EQ(ring.quiet(10s), "");
  ring.add_node();
  EXPECT_NE(ring.quiet(10s), "");
  EXPECT_EQ(ring.settle(60s), "");
  EXPECT_EQ(ring.lookups(1000), "");
}

}  // namespace
}  // namespace chordfs
