// What the simulator itself costs: many nodes join and settle, then lookups by all of them.

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <ctime>

#include "tools/sim/experiments/experiment.h"
#include "tools/sim/experiments/ring_bed.h"

namespace chordfs {

namespace {
constexpr double kGibMax = 4;
constexpr double kMinutesMax = 20;
constexpr std::size_t kAtOnce = 500;  // Lookups in 10 virtual milliseconds.

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}
double gib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1 << 20);
}
}  // namespace

void run_speed(const ExperimentOptions& options, Report& report) {
  const std::size_t nodes = options.nodes.value_or(options.quick ? 200 : 10'000);
  const std::size_t lookups = options.quick ? 5000 : 1'000'000;
  report.say(
      "Real Rings over the virtual network, one position each, ChordFS's periods, patience and cache; maintenance goes "
      "on throughout. One thread. gib: the most that the process ever had. These figures differ from run to run.");
  report.say(fmt::format("Tolerance: {} minutes of CPU, {} GiB, and no wrong answer.", kMinutesMax, kGibMax));
  Progress progress("speed", 2);
  const double began = cpu_seconds();
  RingBed bed({.seed = options.seed});
  bed.grow(nodes);
  bed.settle(10min);
  progress.at(1);
  const double settled = cpu_seconds();
  auto& world = bed.world();
  auto show = [&](std::string_view what, double seconds) -> Row& {
    auto& row = report.row(what, nodes);
    row["cpu_seconds"] = rounded(seconds, 1);
    row["virtual_seconds"] = rounded(std::chrono::duration<double>(world.elapsed()).count(), 1);
    row["steps"] = world.steps();
    row["messages"] = world.network().counters().requests.messages + world.network().counters().replies.messages;
    row["gib"] = rounded(gib());
    return row;
  };
  show("joined and settled", settled - began);
  std::size_t wrong = 0;
  Sample hops;
  const auto done = [&](const RingBed::Route& route) {
    if (!route.found || route.found->owner().id != bed.owner(route.key)) ++wrong;
    if (route.found) hops.add(static_cast<double>(route.found->hops.size()));
  };
  for (std::size_t i = 0; i < lookups; ++i) {
    bed.look_up(world.rng().below(nodes), Id::from_top(world.rng().next()), done);
    if (i % kAtOnce == kAtOnce - 1) {
      world.run_for(10ms);
      progress.at(1 + static_cast<double>(i) / static_cast<double>(lookups));
    }
  }
  world.run_until([&] { return bed.lookups_open() == 0; }, 60s);
  auto& row = show("lookups", cpu_seconds() - settled);
  row["lookups"] = lookups;
  row["hops"] = rounded(hops.mean());
  row["wrong"] = wrong;
  report.must(wrong == 0, fmt::format("{} wrong answers", wrong));
  report.must(gib() <= kGibMax, fmt::format("{:.1f} GiB", gib()));
  report.must(cpu_seconds() - began <= kMinutesMax * 60, "it takes too long");
}

}  // namespace chordfs
