// Latency of lookups between ten sites (SIGCOMM 2001, figure 13).

#include <fmt/format.h>

#include <array>

#include "tools/sim/experiments/experiment.h"
#include "tools/sim/experiments/ring_bed.h"

namespace chordfs {

namespace {
struct Papers {
  std::size_t nodes;
  double median, p5, p95;
};
/// Of figure 13, in milliseconds.
constexpr std::array kPapers = {
    Papers{10, 198, 34, 305},  Papers{30, 187, 50, 430},   Papers{60, 178, 52, 368},   Papers{90, 226, 60, 433},
    Papers{120, 271, 62, 465}, Papers{150, 257, 113, 519}, Papers{180, 286, 121, 535}, Papers{190, 262, 74, 594},
};
constexpr std::size_t kSites = 10;
constexpr Duration kBetweenSites = 30ms;  // One way; the paper's sites: 60 ms there and back.
constexpr std::size_t kLookupsASite = 16;
constexpr std::size_t kRounds = 5;  // Of these, to have more than 160 in all.
/// What a cache needs to hold a ring of 200 nodes.
constexpr std::size_t kWarmLookups = 2000;

Sample measure(const ExperimentOptions& options, std::size_t nodes, bool papers, Progress& progress, Report& report) {
  RingBed bed({.seed = options.seed, .positions = 1});
  auto& world = bed.world();
  world.network().options().latency = [](const SimHost& from, const SimHost& to) {
    return from.index() % kSites == to.index() % kSites ? Duration{} : kBetweenSites;
  };
  if (papers) bed.configure() = [](RingConfig& config) { config.locations_max = 0; };
  bed.grow(nodes);
  bed.settle(5min);
  world.run_for(30s);
  Sample took;
  std::size_t wrong = 0;
  const auto ask = [&](std::size_t from, bool counted) {
    bed.look_up(from, Id::hash(fmt::format("key {}", world.rng().next())), [&, counted](const RingBed::Route& route) {
      if (!route.found || route.found->owner().id != bed.owner(route.key)) ++wrong;
      if (counted) took.add(std::chrono::duration<double, std::milli>(route.ended - route.began).count());
    });
    world.run_for(20ms);
  };
  const auto askers = std::min(nodes, kSites);
  if (!papers)
    for (std::size_t i = 0; i < kWarmLookups * askers / (options.quick ? 4 : 1); ++i) ask(i % askers, false);
  for (std::size_t i = 0; i < kLookupsASite * kRounds * askers; ++i) ask(i % askers, true);
  world.run_until([&] { return bed.lookups_open() == 0; }, 60s);
  report.must(wrong == 0, fmt::format("{} lookups in {} nodes failed", wrong, nodes));
  progress.step();
  return took;
}
}  // namespace

void run_latency(const ExperimentOptions& options, Report& report) {
  report.say(fmt::format(
      "Milliseconds until the owner's name is known. {} sites, {} ms there and back between two of them and less than "
      "1 ms within one (the paper: about 60 ms between real ones, whose worse ones make its tail); {} lookups by one "
      "node of each site.",
      kSites, 2 * kBetweenSites / 1ms, kLookupsASite * kRounds));
  report.say(
      "paper: iterative, no cache, one position a node. chordfs: with the location cache, warm. The owner is named by "
      "itself there, so its answer could have brought the data.");
  report.say(
      "Tolerance: median not above the paper's; chordfs, warm: not above one round trip between sites, 60 ms + 2 %.");
  std::vector<Papers> sizes(kPapers.begin(), kPapers.end());
  if (options.quick) sizes = {kPapers[1]};
  if (options.nodes) sizes = {{*options.nodes, 286, 121, 535}};
  Progress progress("latency", 2.0 * static_cast<double>(sizes.size()));
  for (bool as_paper : {true, false})
    for (const auto& papers : sizes) {
      const auto took = measure(options, papers.nodes, as_paper, progress, report);
      auto& row = report.row(as_paper ? "paper" : "chordfs", papers.nodes);
      if (as_paper) {
        report.at_most(row, "median", took.median(), papers.median, 0);
      } else {
        report.beside(row, "median", took.median(), papers.median);
        report.must(took.median() <= 2 * 30 * 1.02, fmt::format("median of {} nodes with a warm cache", papers.nodes));
      }
      report.beside(row, "p5", took.percentile(5), papers.p5);
      report.beside(row, "p95", took.percentile(95), papers.p95);
    }
}

}  // namespace chordfs
