#include "tools/cli/nodes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "proto/client/lookup.h"

namespace chordfs::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

wire::Status status(std::uint64_t node, std::uint16_t port, std::size_t arcs = 1) {
  wire::Status status;
  Uuid id(node << 32, 0);
  *status.mutable_peer() = to_peer(id, {"127.0.0.1", port});
  status.set_version("0.1.0");
  auto& position = *status.add_positions();
  *position.mutable_self() = to_wire({.id = {}, .node = id, .index = 0, .at = {"127.0.0.1", port}});
  for (std::size_t arc = 0; arc < arcs; ++arc) {
    auto& row = *status.add_arcs();
    row.set_arc(static_cast<std::uint32_t>(arc));
    row.set_state("leader");
    row.set_blocks(2);
    row.set_bytes(100);
  }
  return status;
}

RingView view(const std::vector<wire::Status>& statuses) {
  return view_of(Uuid(7, 7), ArcMap(2), statuses);
}

TEST(Nodes, StandInTheOrderOfTheirPorts) {
  auto seen = view({status(1, 10000), status(2, 6001), status(3, 6000)});
  std::vector<std::string> lines;
  for (const auto& row : seen.nodes) lines.push_back(std::string(1, row.letter) + " " + row.at.text());
  EXPECT_THAT(lines, ElementsAre("a 127.0.0.1:6000", "b 127.0.0.1:6001", "c 127.0.0.1:10000"));
}

TEST(Nodes, SumsOverArcs) {
  auto seen = view({status(1, 6000, 3)});
  EXPECT_EQ(seen.nodes[0].arcs, 3U);
  EXPECT_EQ(seen.nodes[0].blocks, 6U);
  EXPECT_EQ(seen.nodes[0].file_bytes, 300U);
  EXPECT_THAT(headline(seen), HasSubstr("1 node, 3 of 4 arcs served"));
}

TEST(Nodes, ArcsThatItLeadsAndThoseOfWhichItHasACopy) {
  auto one = status(1, 6000, 4);
  one.mutable_arcs(1)->set_state("voter");
  one.mutable_arcs(2)->set_state("learner");
  one.mutable_arcs(3)->set_state("leaving");
  auto seen = view({one});
  EXPECT_EQ(seen.nodes[0].arcs, 1U);
  EXPECT_EQ(seen.nodes[0].copies, 2U);
  EXPECT_EQ(seen.nodes[0].arcs_moving, 2U);
  EXPECT_EQ(seen.arcs_served(), 1U);
}

TEST(Nodes, TwoThatBothThinkTheyLeadServeAnArcOnce) {
  auto seen = view({status(1, 6000, 2), status(2, 6001, 1)});
  EXPECT_EQ(seen.arcs_served(), 2U);
}

TEST(Nodes, AloneOnTheCircleItOwnsAllOfIt) {
  auto one = status(1, 6000);
  *one.mutable_positions(0)->mutable_predecessor() = one.positions(0).self();
  EXPECT_EQ(view({one}).nodes[0].share(), 1.0);
}

TEST(Nodes, TwoSharesAreTheWholeCircle) {
  auto a = status(1, 6000), b = status(2, 6001);
  *a.mutable_positions(0)->mutable_predecessor() = b.positions(0).self();
  *b.mutable_positions(0)->mutable_predecessor() = a.positions(0).self();
  auto seen = view({a, b});
  EXPECT_NEAR(seen.nodes[0].share() + seen.nodes[1].share(), 1, 1e-9);
}

TEST(Nodes, ChangesAreToldOneALine) {
  auto a = status(1, 6000, 4), b = status(2, 6001, 0), c = status(3, 6002, 0);
  auto before = view({a, b});
  b = status(2, 6001, 1);
  b.set_leaving(true);
  EXPECT_THAT(changes(before, view({b, c})),
              ElementsAre("00000002 127.0.0.1:6001 is leaving", "00000002 127.0.0.1:6001 leads 1 arcs, 0 before",
                          "00000003 127.0.0.1:6002 joined, 0 arcs", "00000001 127.0.0.1:6000 is gone"));
  EXPECT_THAT(changes(before, before), IsEmpty());
}

TEST(Nodes, TableHasALineANode) {
  auto text = table(view({status(1, 6000), status(2, 6001)}));
  EXPECT_EQ(std::ranges::count(text, '\n'), 3);
  EXPECT_THAT(text, HasSubstr("a 00000001  127.0.0.1:6000"));
}

TEST(Nodes, DrawingHasALetterForEachPosition) {
  auto text = drawing(view({status(1, 6000), status(2, 6001)}), 8);
  EXPECT_THAT(text, HasSubstr("positions 2"));
}

TEST(Nodes, HostileStatusIsShownNotBelieved) {
  wire::Status empty;
  auto garbage = status(1, 6000);
  garbage.mutable_peer()->set_node("short");
  garbage.mutable_positions(0)->mutable_self()->set_index(4'000'000'000U);
  garbage.set_version("\033[2J\xFF");
  auto seen = view({empty, garbage});
  EXPECT_EQ(seen.nodes.size(), 2U);
  EXPECT_EQ(table(seen).find('\033'), std::string::npos);
  EXPECT_FALSE(drawing(seen, 5).empty());
  EXPECT_FALSE(boost::json::serialize(to_json(seen)).empty());
}

TEST(Nodes, NamesOfNodes) {
  EXPECT_EQ(wrong_node("6000"), "");
  EXPECT_EQ(wrong_node("host:6000"), "");
  EXPECT_EQ(wrong_node("1f2e3d4c"), "");
  EXPECT_THAT(wrong_node("banana"), HasSubstr("banana"));
  EXPECT_THAT(wrong_node("1f"), HasSubstr("1f"));
}

}  // namespace
}  // namespace chordfs::cli
