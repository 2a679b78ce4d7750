#include "daemon/node/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <set>

#include "tests/daemon/ring/world.h"

namespace chordfs {
namespace {

using test::Cluster;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// ---- choose ----

Candidate candidate(int n, std::string zone = "", bool leaving = false) {
  return {to_peer(Cluster::uuid(n), Cluster::at(n)), std::move(zone), leaving};
}

std::vector<int> numbers(const std::vector<wire::Peer>& peers) {
  std::vector<int> list;
  for (const auto& peer : peers) list.push_back(static_cast<int>(peer.port()) - 6000);
  return list;
}

TEST(Choose, FirstOnesInChordOrder) {
  std::vector<Candidate> all{candidate(4), candidate(2), candidate(9), candidate(1)};
  EXPECT_THAT(numbers(choose(all, 3)), ElementsAre(4, 2, 9));
  EXPECT_THAT(numbers(choose(all, 1)), ElementsAre(4));
  EXPECT_THAT(numbers(choose(all, 7)), ElementsAre(4, 2, 9, 1));
}

TEST(Choose, PassesOverThoseThatLeave) {
  std::vector<Candidate> all{candidate(1, "", true), candidate(2), candidate(3, "", true), candidate(4), candidate(5)};
  EXPECT_THAT(numbers(choose(all, 3)), ElementsAre(2, 4, 5));
  EXPECT_THAT(choose({candidate(1, "", true)}, 3), IsEmpty());
  EXPECT_THAT(choose({}, 3), IsEmpty());
}

TEST(Choose, DistinctZonesWhereThereAreEnough) {
  std::vector<Candidate> all{candidate(1, "a"), candidate(2, "a"), candidate(3, "b"), candidate(4, "b"),
                             candidate(5, "c")};
  EXPECT_THAT(numbers(choose(all, 3)), ElementsAre(1, 3, 5));
}

TEST(Choose, EveryZoneOnceBeforeAnyTwice) {
  std::vector<Candidate> all{candidate(1, "a"), candidate(2, "a"), candidate(3, "a"), candidate(4, "b")};
  EXPECT_THAT(numbers(choose(all, 3)), ElementsAre(1, 2, 4));
}

TEST(Choose, OneZoneIsNoZone) {
  std::vector<Candidate> all{candidate(1, "a"), candidate(2, "a"), candidate(3, "a"), candidate(4, "a")};
  EXPECT_THAT(numbers(choose(all, 3)), ElementsAre(1, 2, 3));
}

TEST(Choose, NoLabelIsAZoneOfItsOwn) {
  std::vector<Candidate> all{candidate(1, "a"), candidate(2, "a"), candidate(3), candidate(4)};
  EXPECT_THAT(numbers(choose(all, 3)), ElementsAre(1, 3, 4));
}

TEST(Choose, AZoneOfWhichAllLeaveIsNotWaitedFor) {
  std::vector<Candidate> all{candidate(1, "a"), candidate(2, "a"), candidate(3, "b", true), candidate(4, "c")};
  EXPECT_THAT(numbers(choose(all, 3)), ElementsAre(1, 2, 4));
}

/// Chord order and as many zones as can be, whatever the candidates; and nobody earlier would have done.
TEST(Choose, IsTheFirstOfTheBest) {
  for (unsigned seed = 0; seed < 4096; ++seed) {
    std::vector<Candidate> all;
    for (int n = 0; n < 6; ++n) {
      auto bits = (seed >> (2 * n)) & 3U;
      all.push_back(candidate(n, bits == 3 ? "" : std::string(1, static_cast<char>('a' + bits)), false));
    }
    auto zones = [&](unsigned set) {
      std::set<std::string> found;
      for (int n = 0; n < 6; ++n)
        if ((set >> n & 1U) != 0) found.insert(all[n].zone.empty() ? std::to_string(n) : all[n].zone);
      return found.size();
    };
    std::vector<int> best;
    std::size_t most = 0;
    for (unsigned set = 0; set < 64; ++set) {
      if (std::popcount(set) != 3) continue;
      std::vector<int> members;
      for (int n = 0; n < 6; ++n)
        if ((set >> n & 1U) != 0) members.push_back(n);
      if (zones(set) > most || (zones(set) == most && members < best)) best = members;
      most = std::max(most, zones(set));
    }
    ASSERT_EQ(numbers(choose(all, 3)), best) << seed;
  }
}

// ---- follow ----

Position at(unsigned place, int node) {
  return {Id::from_top(std::uint64_t{place} << 56), Cluster::uuid(node), 0, Cluster::at(node)};
}
Id key(unsigned place) {
  return Id::from_top(std::uint64_t{place} << 56);
}
std::vector<int> nodes(const Run& run) {
  std::vector<int> list;
  for (const Position& p : run.positions) list.push_back(p.at.port - 6000);
  return list;
}

TEST(Links, NothingKnownIsNothingSaid) {
  EXPECT_THAT(nodes(follow({}, key(1), 3)), IsEmpty());
  EXPECT_FALSE(follow({}, key(1), 3).enough);
}

TEST(Links, AloneIsAllThereIs) {
  auto run = follow(links_of({{at(10, 1), at(10, 1), {}}}), key(200), 3);
  EXPECT_THAT(nodes(run), ElementsAre(1));
  EXPECT_TRUE(run.enough);
}

TEST(Links, AllTheWayRoundFromAnywhere) {
  auto links = links_of({{at(10, 1), at(30, 3), {at(20, 2), at(30, 3)}}});
  EXPECT_THAT(nodes(follow(links, key(10), 9)), ElementsAre(1, 2, 3));
  EXPECT_THAT(nodes(follow(links, key(11), 9)), ElementsAre(2, 3, 1));
  EXPECT_THAT(nodes(follow(links, key(31), 9)), ElementsAre(1, 2, 3));
  EXPECT_TRUE(follow(links, key(31), 9).enough);
}

TEST(Links, EndsWhereNobodyKnowsWhoFollows) {
  auto links = links_of({{at(10, 1), at(5, 9), {at(20, 2), at(30, 3)}}});
  EXPECT_THAT(nodes(follow(links, key(6), 9)), ElementsAre(1, 2, 3));
  EXPECT_FALSE(follow(links, key(6), 9).enough);
  EXPECT_THAT(nodes(follow(links, key(31), 9)), IsEmpty());
  EXPECT_TRUE(follow(links, key(6), 2).enough);
}

TEST(Links, ListsOfSeveralPositionsJoin) {
  auto links = links_of({{at(10, 1), at(5, 9), {at(20, 2), at(30, 3)}}, {at(40, 1), at(30, 3), {at(50, 4)}}});
  EXPECT_THAT(nodes(follow(links, key(6), 9)), ElementsAre(1, 2, 3, 1, 4));
}

TEST(Links, OneThatOnlySomeListsKnowCounts) {
  auto links = links_of({{at(10, 1), at(40, 1), {at(30, 3), at(40, 1)}},
                         {at(40, 1), at(30, 3), {at(10, 1), at(20, 2)}},
                         {at(15, 1), at(10, 1), {at(20, 2), at(30, 3)}}});
  EXPECT_THAT(nodes(follow(links, key(11), 9)), ElementsAre(1, 2, 3, 1, 1));
}

TEST(Links, OutOfOrderEnds) {
  auto links = links_of({{at(10, 1), at(30, 3), {at(20, 2)}}, {at(20, 1), at(10, 2), {at(15, 4), at(25, 5)}}});
  EXPECT_LE(follow(links, key(9), 99).positions.size(), 8U);
}

// ---- Order ----

class OrderTest : public testing::Test {
 protected:
  explicit OrderTest() : cluster_(1) {
    cluster_.configure = [this](RingConfig& config) {
      config.arc_bits = kBits;
      if (auto zone = zones_.find(static_cast<int>(config.self.port()) - 6000); zone != zones_.end())
        config.zone = zone->second;
    };
  }
  ~OrderTest() override {
    for (auto& [n, order] : orders_) stop(*order);
  }
  void stop(Order& order) {
    cluster_.world.run([](Order* stopped) -> awaitable<Nothing> {
      co_await stopped->stop();
      co_return Nothing{};
    }(&order));
  }

  Order& order(int n) {
    auto& made = orders_[n];
    if (!made) made = std::make_unique<Order>(cluster_.world, cluster_.node(n), cluster_.node(n).ring());
    return *made;
  }
  std::vector<Candidate> of(int n, ArcNumber arc) {
    auto found = cluster_.world.run(order(n).of(arc));
    EXPECT_TRUE(found) << found.error().text();
    return found ? *found : std::vector<Candidate>();
  }
  static std::vector<int> nodes(const std::vector<Candidate>& candidates) {
    std::vector<int> list;
    for (const auto& c : candidates) list.push_back(static_cast<int>(c.peer.port()) - 6000);
    return list;
  }
  /// Distinct nodes clockwise from the arc's point, from all views together.
  std::vector<int> truth(ArcNumber arc) {
    auto live = cluster_.snapshot().live;
    const Id point = ArcMap(kBits).point(arc);
    std::ranges::sort(live, {}, [&](const View& view) { return view.self.id - point; });
    std::vector<int> list;
    for (const View& view : live) {
      int n = view.self.at.port - 6000;
      if (std::ranges::find(list, n) == list.end()) list.push_back(n);
    }
    return list;
  }
  /// The first so many are those of the truth, for every arc, asked at node n.
  void expect_right(int n, std::size_t count) {
    for (ArcNumber arc = 0; arc < ArcMap(kBits).count(); ++arc) {
      auto all = truth(arc);
      auto got = nodes(of(n, arc));
      ASSERT_GE(got.size(), std::min(count, all.size())) << arc;
      got.resize(std::min(got.size(), count));
      all.resize(got.size());
      ASSERT_EQ(got, all) << "arc " << arc << " at node " << n;
    }
  }

  static constexpr int kBits = 5;
  std::map<int, std::string> zones_;
  Cluster cluster_;
  std::map<int, std::unique_ptr<Order>> orders_;
};

TEST_F(OrderTest, AloneItIsThisNode) {
  zones_[0] = "attic";
  cluster_.grow(1);
  auto found = of(0, 3);
  EXPECT_THAT(nodes(found), ElementsAre(0));
  EXPECT_EQ(found.front().zone, "attic");
  EXPECT_EQ(cluster_.network.calls(), 0U);
}

TEST_F(OrderTest, SmallRingIsInMemory) {
  cluster_.grow(4);
  for (int n = 0; n < 4; ++n) of(n, 0);  // Zones.
  auto before = cluster_.network.calls();
  for (int n = 0; n < 4; ++n) {
    auto time = cluster_.world.now();
    expect_right(n, 4);
    EXPECT_EQ(cluster_.world.now(), time);
  }
  EXPECT_EQ(cluster_.network.calls(), before);
}

TEST_F(OrderTest, LargerRingIsLookedUpAndKept) {
  cluster_.grow(20);
  for (int n : {0, 7, 19}) expect_right(n, 3 + kOrderSpare);
  auto& lookups = cluster_.node(7).ring().lookups();
  auto before = lookups.lookups;
  of(7, 3);
  of(7, 3);
  auto once = lookups.lookups - before;
  EXPECT_LE(once, 4U);
  before = lookups.lookups;
  of(7, 3);
  EXPECT_EQ(lookups.lookups, before) << "kept for a while";
  order(7).changed();
  of(7, 3);
  EXPECT_GT(lookups.lookups, before) << "but not when the ring has changed";
}

TEST_F(OrderTest, RingOfAsManyAsAreWanted) {
  cluster_.grow(12);
  for (int n : {0, 5}) expect_right(n, 3 + kOrderSpare);
}

TEST_F(OrderTest, OneThatHasLeftStillKnows) {
  cluster_.grow(5);
  ASSERT_TRUE(cluster_.world.run(cluster_.node(2).ring().leave()));
  ASSERT_TRUE(cluster_.world.run_until([&] { return check_ideal(cluster_.snapshot()).empty(); }, 20s));
  order(2).changed();
  expect_right(2, 4);
}

TEST_F(OrderTest, ZonesAreLearntByPing) {
  zones_ = {{0, "a"}, {1, "b"}, {2, "b"}};
  cluster_.grow(3);
  for (const auto& c : of(0, 1)) EXPECT_EQ(c.zone, zones_[static_cast<int>(c.peer.port()) - 6000]);
  EXPECT_THAT(numbers(choose(of(0, 1), 2)), testing::Contains(0));
}

TEST_F(OrderTest, SilentNodeIsWaitedForOnceAndNotLonger) {
  cluster_.grow(3);
  cluster_.network.link = [](const Endpoint&, const Endpoint& to) {
    return to == Cluster::at(2) ? test::Link::silent : test::Link::up;
  };
  auto before = cluster_.world.now();
  EXPECT_EQ(of(0, 1).size(), 3U);
  EXPECT_LE(cluster_.world.now() - before, kPingTimeout);
  before = cluster_.world.now();
  EXPECT_EQ(of(0, 2).size(), 3U);
  EXPECT_EQ(cluster_.world.now(), before);
  cluster_.network.link = nullptr;
}

TEST_F(OrderTest, LeavingIsHeardAtOnceOrSoon) {
  cluster_.grow(3);
  auto leaving = [this] {
    std::vector<int> list;
    for (const auto& c : of(0, 1))
      if (c.leaving) list.push_back(static_cast<int>(c.peer.port()) - 6000);
    return list;
  };
  EXPECT_THAT(leaving(), IsEmpty());
  order(0).heard(to_peer(Cluster::uuid(1), Cluster::at(1)), true);
  EXPECT_THAT(leaving(), ElementsAre(1));
  order(0).heard(to_peer(Cluster::uuid(1), Cluster::at(1)), false);
  EXPECT_THAT(leaving(), IsEmpty());

  cluster_.node(2).ring().say_leaving();
  cluster_.world.run_for(kZoneKeptFor);
  of(0, 1);  // Old: refreshed in the background.
  cluster_.world.run_for(100ms);
  EXPECT_THAT(leaving(), ElementsAre(2));
}

TEST_F(OrderTest, AnotherNodeAtItsAddressIsNotBelieved) {
  zones_ = {{2, "b"}};
  cluster_.grow(3);
  cluster_.network.attach(Cluster::at(2), [](Request) -> awaitable<Reply> {
    Reply reply;
    *reply.header.mutable_ping()->mutable_peer() = to_peer(Cluster::uuid(7), Cluster::at(2));
    reply.header.mutable_ping()->set_zone("strange");
    co_return reply;
  });
  for (const auto& c : of(0, 1)) EXPECT_NE(c.zone, "strange");
}

TEST_F(OrderTest, ReplicasAreLearntOnJoining) {
  cluster_.configure = [](RingConfig& config) {
    if (config.self.port() == 6000) config.replicas = 5;
  };
  cluster_.grow(3);
  EXPECT_EQ(cluster_.node(2).ring().replicas(), 5);
}

}  // namespace
}  // namespace chordfs
