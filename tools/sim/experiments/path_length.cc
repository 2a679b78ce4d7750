// Path length of lookups in rings at rest (ToN 2003, figure 10).

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "daemon/ring/ring.h"
#include "tools/sim/experiments/experiment.h"
#include "tools/sim/experiments/static_ring.h"
#include "tools/sim/world.h"

namespace chordfs {

namespace {
struct Papers {
  double mean, first, last;
};
/// Of figure 10 (a), for 2^3 to 2^14 nodes.
constexpr int kPowerMin = 3;
constexpr std::array<Papers, 12> kPapers = {{{1.72, 1, 3},
                                             {2.09, 1, 4},
                                             {2.49, 1, 5},
                                             {2.96, 1, 5},
                                             {3.39, 1, 6},
                                             {3.88, 1, 7},
                                             {4.38, 1, 7},
                                             {4.89, 2, 8},
                                             {5.36, 2, 9},
                                             {5.85, 2, 10},
                                             {6.35, 2, 10},
                                             {6.87, 3, 11}}};
/// Of figure 10 (b), 2^12 nodes: the share of lookups of 1, 2 … hops.
constexpr int kPdfPower = 12;
constexpr std::array kPdf = {.0033, .0180, .0571, .1288, .2124, .2254, .1938, .1094, .0412, .0092, .0012, .0002};
/// From this size on the tolerance of the mean is for both sides.
constexpr int kPowerJudged = 7;
constexpr double kTolerance = 0.02;
constexpr std::size_t kLookupsANode = 100;
constexpr std::size_t kLookupsMin = 20'000;
constexpr std::size_t kLookupsMax = 200'000;  // The error of the mean is below 0.01 then.
constexpr std::size_t kCachesMax = 64;        // Nodes whose caches are followed.
constexpr std::size_t kNodesMin =
    8192;  // Of all rings of a size: small ones are drawn several times; with caches 1/32 of them.
constexpr std::size_t kWarm = 10 * kLookupsANode;

struct Configuration {
  std::string_view name;
  int positions, successor_nodes;
  bool cache;
  std::size_t before = 0;  ///< Lookups by each node whose cache is followed that are not counted.
};
constexpr std::array kConfigurations = {
    Configuration{"paper", 1, 1, false},
    Configuration{"chordfs, cold", kPositionsDefault, kSuccessorNodes, false},
    Configuration{"chordfs", kPositionsDefault, kSuccessorNodes, true, 0},
    Configuration{"chordfs, warm", kPositionsDefault, kSuccessorNodes, true, kWarm},
};

std::optional<Papers> papers(std::size_t nodes) {
  const int power = std::bit_width(nodes) - 1;
  if (!std::has_single_bit(nodes) || power < kPowerMin || power >= kPowerMin + static_cast<int>(kPapers.size()))
    return std::nullopt;
  return kPapers[static_cast<std::size_t>(power - kPowerMin)];
}

/// How many rings of this size are drawn, lookups counted in each of them, and by how many nodes with caches.
struct Plan {
  std::size_t rings = 1, lookups = 0, caches = 0, before = 0;
  double work() const { return static_cast<double>(rings * (lookups + caches * before)); }
};
Plan plan(const Configuration& configuration, std::size_t nodes, bool quick) {
  const std::size_t shrink = quick ? 8 : 1;
  Plan plan{.rings = std::max<std::size_t>((configuration.cache ? kNodesMin / 32 : kNodesMin) / shrink / nodes, 1)};
  if (configuration.cache) plan.caches = std::min(nodes, kCachesMax / shrink);
  plan.before = configuration.before / shrink;
  std::size_t all = kLookupsMin;
  if (configuration.name == "paper") all = std::clamp(kLookupsANode * nodes, kLookupsMin, kLookupsMax);
  // A cache that begins empty is seen over just so many lookups.
  if (configuration.cache) all = kLookupsANode * plan.caches * plan.rings * shrink;
  plan.lookups = all / shrink / plan.rings;
  return plan;
}

struct Measured {
  Sample hops;
  std::size_t wrong = 0;
};

awaitable<void> measure(Plan plan, const StaticRing& ring, World& world, Progress& progress, Measured& into) {
  StaticTransport transport(world.runtime(), ring);
  TaskGroup asks(world.runtime());
  std::vector<Locations> caches(plan.caches);
  const std::size_t uncounted = plan.before * plan.caches;
  for (std::size_t i = 0; i < uncounted + plan.lookups; ++i, progress.step()) {
    const auto from = caches.empty() ? world.rng().below(ring.size()) : i % caches.size();
    const Id key = Id::hash(fmt::format("key {}", world.rng().next()));
    auto route = co_await look_up({.ring = ring,
                                   .runtime = world.runtime(),
                                   .transport = transport,
                                   .asks = asks,
                                   .locations = caches.empty() ? nullptr : &caches[from]},
                                  from, key);
    if (route.found.empty() || route.found.front().id != ring.positions()[ring.owner(key)].id) ++into.wrong;
    if (i >= uncounted) into.hops.add(static_cast<double>(std::max<std::size_t>(route.answered(), 1)));
  }
  asks.stop();
  co_await asks.join();
}

void judge(const Configuration& configuration, std::size_t nodes, const Measured& measured, double tolerance,
           Report& report) {
  auto& row = report.row(configuration.name, nodes);
  row["lookups"] = measured.hops.size();
  row["p1"] = measured.hops.percentile(1);
  row["p99"] = measured.hops.percentile(99);
  row["mean"] = rounded(measured.hops.mean(), 3);
  const bool as_paper = configuration.name == "paper";
  if (auto there = papers(nodes)) {
    if (as_paper && std::bit_width(nodes) - 1 >= kPowerJudged)
      report.equals(row, "mean", measured.hops.mean(), there->mean, tolerance);
    else
      report.at_most(row, "mean", measured.hops.mean(), there->mean, as_paper ? tolerance : 0);
    if (as_paper) {
      row["paper_p1"] = there->first;
      row["paper_p99"] = there->last;
      report.must(measured.hops.percentile(99) <= there->last + 1, fmt::format("99th percentile of {} nodes", nodes));
    }
  }
  report.must(measured.wrong == 0,
              fmt::format("{} lookups of {} nodes found another than the owner", measured.wrong, nodes));
}
}  // namespace

void run_path_length(const ExperimentOptions& options, Report& report) {
  std::vector<std::size_t> sizes;
  for (int power = kPowerMin; power < kPowerMin + static_cast<int>(kPapers.size()); ++power)
    sizes.push_back(std::size_t{1} << power);
  if (options.quick) sizes = {8, 128, 1024};
  if (options.nodes) sizes = {*options.nodes};
  const double tolerance = options.quick ? 2 * kTolerance : kTolerance;
  report.say(
      "Hops: remote nodes visited up to the key's predecessor, which names the owner; the owner itself is not counted. "
      "What a node knows without asking counts as 1.");
  report.say(fmt::format(
      "paper: exact base-2 fingers, one position a node, no successor list (r = 1), no cache; {} lookups a "
      "node (at most {} in all), by "
      "all), by random nodes for random keys. Of small rings so many are drawn that they have {} nodes in all.",
      kLookupsANode, kLookupsMax, kNodesMin));
  report.say(fmt::format(
      "chordfs, cold: {} positions a node, lists of {} nodes, no cache. chordfs: with the location cache, which begins "
      "empty; {} lookups by each of up to {} nodes. chordfs, warm: those after the first {}.",
      kPositionsDefault, kSuccessorNodes, kLookupsANode, kCachesMax, kWarm));
  report.say(fmt::format(
      "Tolerance: paper: mean ± {:.0f} % from 2^{} nodes on (below: + {:.0f} %), 99th percentile + 1; chordfs: not "
      "above the paper's mean. No lookup may find another than the owner.",
      100 * tolerance, kPowerJudged, 100 * tolerance));
  double total = 0;
  for (auto nodes : sizes)
    for (const auto& configuration : kConfigurations) total += plan(configuration, nodes, options.quick).work();
  Progress progress("path-length", total);
  std::optional<Sample> distribution;
  for (const auto& configuration : kConfigurations)
    for (auto nodes : sizes) {
      Measured measured;
      const auto planned = plan(configuration, nodes, options.quick);
      for (std::size_t i = 0; i < planned.rings; ++i) {
        const std::uint64_t seed = options.seed * kNodesMin + i;
        World world(seed);
        StaticRing ring({seed, nodes, configuration.positions, configuration.successor_nodes});
        world.run(measure(planned, ring, world, progress, measured));
      }
      judge(configuration, nodes, measured, tolerance, report);
      if (configuration.name == "paper" && nodes == std::size_t{1} << kPdfPower) distribution = measured.hops;
    }
  if (!distribution) return;
  for (std::size_t hops = 1; hops <= kPdf.size(); ++hops) {
    auto& row = report.row("paper, distribution", std::size_t{1} << kPdfPower);
    row["hops"] = hops;
    row["share"] = rounded(distribution->share(static_cast<double>(hops)), 4);
    row["paper_share"] = kPdf[hops - 1];
  }
}

}  // namespace chordfs
