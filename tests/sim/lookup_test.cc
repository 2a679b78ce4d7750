// Lookups in whole rings, the real Ring in a small virtual world (tests/daemon/ring/world.h): how many hops they take,
// without the location cache (to compare with the paper) and with it; and what they do while nodes are dead.
//
// The rings are built quickly and honestly: waves of joins, each through a node that stands right before the joiner.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/daemon/ring/world.h"

namespace chordfs::test {
namespace {

constexpr std::size_t kAtOnce = 200;  // Lookups beside one another: less virtual time, less maintenance to simulate.

/// When nodes fill their finger tables: after all have joined, so that the tables are exact.
constexpr Duration kFillFingers = 200s;

/// One position a node: the paper's case. Nothing is repaired or refreshed by itself soon, as in its experiments.
void slow_maintenance(RingConfig& config) {
  config.stabilize_every = 20s;
  config.fingers_every = kFillFingers;
  config.merge_every = 1h;
}

/// Every node's only position, in the order of the circle.
std::vector<std::pair<Id, int>> circle_of(int nodes) {
  std::vector<std::pair<Id, int>> circle;
  for (int n = 0; n < nodes; ++n) circle.emplace_back(position_id(Cluster::uuid(n), 0), n);
  std::ranges::sort(circle);
  return circle;
}

/// Joins all of the circle, every gap between two members halved at once, and waits until all have their fingers.
void grow_in_waves(Cluster& cluster, int nodes) {
  auto circle = circle_of(nodes);
  Time begun = cluster.world.now();
  cluster.create(circle.front().second);
  for (int step = nodes; step > 1;) {
    int wave = step;
    step = (step + 1) / 2;
    for (int i = step; i < nodes; i += step)
      if (!cluster.has(circle[i].second)) cluster.join_soon(circle[i].second, circle[i / wave * wave].second);
    ASSERT_TRUE(cluster.world.run_until([&] { return cluster.all_joined(); }, 60s));
  }
  ASSERT_EQ(static_cast<int>(cluster.numbers().size()), nodes);
  ASSERT_LT(cluster.world.now() - begun, kFillFingers * 3 / 4) << "someone filled its table too early";
  cluster.world.run_for(kFillFingers * 3 / 2);
  auto wrong = check_ideal(cluster.snapshot());
  ASSERT_TRUE(wrong.empty()) << text_of(wrong);
}

struct Measured {
  std::vector<Found> found;
  std::vector<Id> keys;
  std::vector<Duration> took;
  std::vector<std::string> errors;
  double mean_hops() const {
    double hops = 0, asked = 0;
    for (const Found& f : found) {
      if (f.hops.empty()) continue;
      asked += 1;
      hops += static_cast<double>(std::ranges::count_if(
          f.hops, [](const Hop& hop) { return hop.outcome == "next" || hop.outcome == "owner"; }));
    }
    return hops / asked;
  }
};

awaitable<void> look_up(World& world, Ring& ring, Id key, Measured& into) {
  Time began = world.now();
  auto found = co_await ring.find_successor(key);
  if (!found) {
    into.errors.push_back(found.error().text());
    co_return;
  }
  into.took.push_back(world.now() - began);
  into.keys.push_back(key);
  into.found.push_back(*std::move(found));
}

/// Each of these keys, looked up by a random one of these nodes.
Measured measure(Cluster& cluster, const std::vector<int>& nodes, const std::vector<Id>& keys) {
  Measured measured;
  TaskGroup group(cluster.world);
  for (auto key = keys.begin(); key != keys.end();) {
    for (; key != keys.end() && group.size() < kAtOnce; ++key) {
      int node = nodes[cluster.world.below(nodes.size())];
      group.spawn("look up", look_up(cluster.world, cluster.node(node).ring(), *key, measured));
    }
    cluster.world.run_until([&] { return group.size() == 0; }, 60s);
  }
  return measured;
}

std::vector<Id> random_keys(Cluster& cluster, int count) {
  std::vector<Id> keys;
  for (int i = 0; i < count; ++i) keys.push_back(Id::from_top(cluster.world.random()));
  return keys;
}

Id live_owner(const Id& key, const std::map<Id, Uuid>& live) {
  auto at = live.lower_bound(key);
  return at == live.end() ? live.begin()->first : at->first;
}

/// The first one named that lives is the key's successor among those that live.
int wrong_owners(const Measured& measured, const std::map<Id, Uuid>& live) {
  int wrong = 0;
  for (std::size_t i = 0; i < measured.found.size(); ++i) {
    auto first =
        std::ranges::find_if(measured.found[i].positions, [&](const Position& p) { return live.contains(p.id); });
    if (first == measured.found[i].positions.end() || first->id != live_owner(measured.keys[i], live)) ++wrong;
  }
  return wrong;
}

std::map<Id, Uuid> positions_of(Cluster& cluster) {
  std::map<Id, Uuid> positions;
  for (const View& view : cluster.snapshot().live) positions.emplace(view.self.id, view.self.node);
  return positions;
}

TEST(LookupSim, PathWithoutCacheIsNoLongerThanThePapers) {
  Cluster cluster(1, 1);
  cluster.configure = [](RingConfig& config) {
    slow_maintenance(config);
    config.locations_max = 0;
  };
  grow_in_waves(cluster, 4096);
  if (HasFatalFailure()) return;
  auto measured = measure(cluster, cluster.numbers(), random_keys(cluster, 10'000));
  EXPECT_TRUE(measured.errors.empty()) << measured.errors.front();
  EXPECT_EQ(wrong_owners(measured, positions_of(cluster)), 0);
  // ToN 2003, figure 10, N = 2^12, counted as there: nodes visited up to the key's predecessor.
  fmt::print("4,096 positions, no cache: {:.2f} hops\n", measured.mean_hops());
  EXPECT_LE(measured.mean_hops(), 5.85);
  EXPECT_GE(measured.mean_hops(), 3.0) << "shorter than Chord can be: is it counted right?";
}

TEST(LookupSim, WarmCacheIsOneHop) {
  constexpr int kNodes = 512;
  Cluster cluster(2);
  cluster.create(0);
  for (int n = 1; n < kNodes;) {
    for (int end = std::min(2 * n, kNodes), old = n; n < end; ++n) cluster.join_soon(n, n % old);
    ASSERT_TRUE(cluster.world.run_until([&] { return cluster.all_joined(); }, 120s));
  }
  cluster.world.run_for(3s);
  auto wrong = check_ideal(cluster.snapshot());
  ASSERT_TRUE(wrong.empty()) << text_of(wrong);
  auto positions = positions_of(cluster);
  ASSERT_EQ(positions.size(), kNodes * 8U);

  Ring& ring = cluster.node(7).ring();
  std::vector<Id> every;
  for (const auto& [id, node] : positions) every.push_back(id);
  ASSERT_TRUE(measure(cluster, {7}, every).errors.empty());
  auto before = ring.lookups();
  auto warm = measure(cluster, {7}, random_keys(cluster, 2'000));
  EXPECT_TRUE(warm.errors.empty());
  EXPECT_EQ(wrong_owners(warm, positions), 0);
  auto longer = std::ranges::count_if(warm.found, [](const Found& f) { return f.hops.size() > 1; });
  fmt::print("4,096 positions on 512 nodes, warm cache: {:.2f} hops; {} of 2,000 took more than one\n",
             warm.mean_hops(), longer);
  EXPECT_EQ(longer, 0);
  EXPECT_EQ(warm.mean_hops(), 1);
  EXPECT_EQ(ring.lookups().stale, before.stale);
}

TEST(LookupSim, DeadNodesCostPatienceNotTimeouts) {
  constexpr int kNodes = 1000;
  Cluster cluster(3, 1, 20);  // r = 2 log2 N, as in ToN 2003, table II.
  cluster.configure = slow_maintenance;
  grow_in_waves(cluster, kNodes);
  if (HasFatalFailure()) return;

  // A fifth dies at once; every second of them still has its machine, frozen: calls to it vanish.
  std::set<Endpoint> refusing, frozen;
  std::vector<int> alive;
  auto live = positions_of(cluster);
  for (int n : cluster.numbers()) {
    if (n % 5 != 0) {
      alive.push_back(n);
      continue;
    }
    (n % 2 == 0 ? refusing : frozen).insert(Cluster::at(n));
    live.erase(position_id(Cluster::uuid(n), 0));
  }
  cluster.network.link = [&](const Endpoint& from, const Endpoint& to) {
    if (refusing.contains(to)) return Link::refused;
    if (refusing.contains(from) || frozen.contains(from) || frozen.contains(to)) return Link::silent;
    return Link::up;
  };
  auto timeouts = [&] {
    std::uint64_t sum = 0;
    for (int n : alive) sum += cluster.node(n).ring().lookups().timeouts;
    return sum;
  };
  std::uint64_t before = timeouts();
  std::vector<std::uint64_t> per_round;
  for (int round = 0; round < 3; ++round) {
    auto measured = measure(cluster, alive, random_keys(cluster, 3'000));
    per_round.push_back(timeouts() - before);
    before = timeouts();
    ASSERT_TRUE(measured.errors.empty()) << measured.errors.front();
    EXPECT_EQ(wrong_owners(measured, live), 0);
    std::ranges::sort(measured.took);
    auto ms = [&](double share) {
      auto at = static_cast<std::size_t>(share * static_cast<double>(measured.took.size() - 1));
      return std::chrono::duration_cast<std::chrono::milliseconds>(measured.took[at]).count();
    };
    fmt::print("1,000 nodes, a fifth dead: {} timeouts in 3,000 lookups; ms: median {}, 95th {}, 99th {}, longest {}\n",
               per_round.back(), ms(.5), ms(.95), ms(.99), ms(1));
    EXPECT_LT(ms(.99), 500) << "the timeout of one hop";
  }
  // Those told looked for themselves, and name the dead no more.
  EXPECT_LT(per_round.back(), per_round.front() / 2);
  cluster.network.link = nullptr;
}

}  // namespace
}  // namespace chordfs::test
