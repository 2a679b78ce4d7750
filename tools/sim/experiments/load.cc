// Load balance: how many keys the nodes hold, by production's positions and intervals (ToN 2003, figures 8 and 9).

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "daemon/ring/ring.h"
#include "tools/sim/experiments/experiment.h"
#include "tools/sim/experiments/static_ring.h"

namespace chordfs {

namespace {
constexpr std::size_t kNodes = 10'000;
constexpr std::size_t kNodesQuick = 2'000;
constexpr std::size_t kKeysStep = 100'000;
constexpr std::size_t kSteps = 10;
constexpr std::size_t kKeysBeyond = 10;  // Times as many.
constexpr double kTolerance = 0.05;
/// The paper's maximum is that of one drawing.
constexpr double kMaximumTolerance = 0.25;

/// Of figure 8, for 1 to 10 times 100,000 keys.
constexpr std::array<double, kSteps> kFirst = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr std::array<double, kSteps> kLast = {48, 91, 138, 181, 228, 273, 320, 364, 411, 463};
constexpr double kMaximumOfHalfAMillion = 457;

/// Of figure 9; gamma: the quantiles of the Gamma distribution of this shape, to which shares of v random arcs tend.
struct Virtual {
  int positions;
  std::optional<double> first, last;
  double gamma_first, gamma_last;
};
constexpr std::array kVirtual = {
    Virtual{1, 0, 477, .010, 4.61},   Virtual{2, 7, 347, .074, 3.32},   Virtual{5, 24, 220, .256, 2.32},
    Virtual{10, 38, 186, .413, 1.88}, Virtual{20, 50, 161, .554, 1.59}, Virtual{64, {}, {}, .73, 1.31},
};

/// Who owns what: all positions in order, each with its node.
class Circle {
 public:
  Circle(std::uint64_t seed, std::size_t nodes, int positions) : held_(nodes) {
    for (std::size_t i = 0; i < nodes; ++i) {
      const Uuid node = StaticRing::identity(seed, i);
      for (int p = 0; p < positions; ++p) circle_.emplace_back(position_id(node, static_cast<std::uint32_t>(p)), i);
    }
    std::ranges::sort(circle_);
  }
  void put(const Id& key) {
    auto owner = std::ranges::lower_bound(circle_, key, {}, &std::pair<Id, std::size_t>::first);
    ++held_[owner == circle_.end() ? circle_.front().second : owner->second];
  }
  Sample held() const {
    Sample sample;
    for (auto keys : held_) sample.add(static_cast<double>(keys));
    return sample;
  }

 private:
  std::vector<std::pair<Id, std::size_t>> circle_;
  std::vector<std::size_t> held_;
};

Id key(std::uint64_t seed, std::size_t number) {
  return Id::hash(fmt::format("key {} of {}", number, seed));
}

struct Drawn {
  std::array<Sample, kSteps> held;
  Sample maximum;  ///< With half of the keys.
};
Drawn draw(const ExperimentOptions& options, std::size_t nodes, std::size_t step, int positions, std::size_t seeds,
           Progress& progress) {
  Drawn drawn;
  for (std::uint64_t seed = options.seed; seed < options.seed + seeds; ++seed, progress.step()) {
    Circle circle(seed, nodes, positions);
    for (std::size_t i = 0; i < kSteps; ++i) {
      for (std::size_t k = i * step; k < (i + 1) * step; ++k) circle.put(key(seed, k));
      drawn.held[i].add(circle.held());
      if (i + 1 == kSteps / 2) drawn.maximum.add(circle.held().max());
    }
  }
  return drawn;
}
}  // namespace

void run_load(const ExperimentOptions& options, Report& report) {
  const std::size_t nodes = options.nodes.value_or(options.quick ? kNodesQuick : kNodes);
  const std::size_t seeds = options.quick ? 2 : 20;
  const std::size_t step = kKeysStep * nodes / kNodes;  // As many keys a node as there.
  const double tolerance = options.quick ? 2 * kTolerance : kTolerance;
  report.say(
      fmt::format("Keys a node holds, over all nodes of {} drawings of positions and keys: mean, 1st and 99th "
                  "percentile, largest. Keys are SHA-256 of names, positions as production's.",
                  seeds));
  report.say(
      fmt::format("paper: one position a node. chordfs: its default of {}. Tolerance: 99th ± {:.0f} %, 1st "
                  "± 1 key, the largest of 500,000 keys (one drawing there; the mean of all here) + {:.0f} %.",
                  kPositionsDefault, 100 * tolerance, 100 * kMaximumTolerance));
  Progress progress("load", 2.0 * static_cast<double>(seeds));
  const auto paper = draw(options, nodes, step, 1, seeds, progress);
  for (std::size_t i = 0; i < kSteps; ++i) {
    auto& row = report.row("paper", nodes);
    row["keys"] = (i + 1) * step;
    report.beside(row, "mean", paper.held[i].mean(), 10.0 * static_cast<double>(i + 1));
    report.beside(row, "p1", paper.held[i].percentile(1), kFirst[i]);
    report.equals(row, "p99", paper.held[i].percentile(99), kLast[i], tolerance);
    report.must(std::abs(paper.held[i].percentile(1) - kFirst[i]) <= 1, "the 1st percentile");
  }
  auto& largest = report.row("paper, largest", nodes);
  largest["keys"] = kSteps / 2 * step;
  report.at_most(largest, "max", paper.maximum.mean(), kMaximumOfHalfAMillion, kMaximumTolerance);

  const auto ours = draw(options, nodes, step, kPositionsDefault, seeds, progress);
  for (std::size_t i = 0; i < kSteps; ++i) {
    auto& row = report.row("chordfs", nodes);
    row["keys"] = (i + 1) * step;
    row["mean"] = ours.held[i].mean();
    row["p1"] = ours.held[i].percentile(1);
    report.at_most(row, "p99", ours.held[i].percentile(99), kLast[i], 0);
  }
}

void run_virtual_nodes(const ExperimentOptions& options, Report& report) {
  const std::size_t nodes = options.nodes.value_or(options.quick ? kNodesQuick : kNodes);
  const std::size_t seeds = options.quick ? 1 : 5;
  const std::size_t keys = 100 * nodes;
  const double tolerance = options.quick ? 2 * kTolerance : kTolerance;
  report.say(
      fmt::format("Keys a node holds in percent of the mean, with so many positions a node and 100 keys for each node "
                  "(beyond the paper's: 1,000); {} drawings.",
                  seeds));
  report.say(
      fmt::format("gamma: what theory says, 100 times the quantiles of Gamma(positions). Tolerance: the 99th "
                  "percentile {:.0f} % above, the 1st {:.0f} % below the paper's or theory's, whichever is "
                  "worse (at 5 positions theory is 5 % above the paper's one drawing), and 2 keys.",
                  100 * tolerance, 100 * tolerance));
  Progress progress("virtual-nodes", static_cast<double>(seeds * kVirtual.size()));
  for (const auto& [positions, first, last, gamma_first, gamma_last] : kVirtual) {
    // Beyond the paper's, with so many keys that their own scatter does not count.
    const auto step = keys / kSteps * (last ? 1 : kKeysBeyond);
    const auto drawn = draw(options, nodes, step, positions, last ? seeds : 1, progress).held.back();
    const double scale = drawn.mean() / 100;
    auto& row = report.row(last ? "paper" : "beyond", nodes);
    row["positions"] = positions;
    row["keys_a_node"] = drawn.mean();
    const double p1 = drawn.percentile(1) / scale, p99 = drawn.percentile(99) / scale;
    row["p1"] = p1;
    row["p99"] = p99;
    if (last) {
      report.beside(row, "p1", p1, *first);
      report.beside(row, "p99", p99, *last);
    }
    row["gamma_p1"] = rounded(100 * gamma_first, 1);
    row["gamma_p99"] = rounded(100 * gamma_last, 1);
    report.must(p99 <= std::max(last.value_or(0), 100 * gamma_last) * (1 + tolerance) + 2,
                fmt::format("99th percentile with {} positions: {}", positions, p99));
    report.must(p1 >= std::min(first.value_or(100), 100 * gamma_first) * (1 - tolerance) - 2,
                fmt::format("1st percentile with {} positions: {}", positions, p1));
  }
}

}  // namespace chordfs
