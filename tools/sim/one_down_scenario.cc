// The scenario "one_down": one node after another dies, loses power, freezes or is cut off, never two at once, while
// clients work. The promise of the README: nothing fails, and no call takes longer than 3 s.
#include <fmt/format.h>

#include "tools/sim/scenarios.h"
#include "tools/sim/workload.h"

namespace chordfs {

namespace {
constexpr Duration kSettleMax = 120s;
constexpr Duration kCallMax = 3s;
constexpr int kFaults = 10;
constexpr std::size_t kNodes = 5;

class OneDownScenario {
 public:
  explicit OneDownScenario(const ScenarioOptions& options)
      : rng_(Rng::derived(options.seed, "one down")),
        ring_({.seed = options.seed,
               .arc_bits = 5,
               .positions = 4,
               .evict_after = 60s,  // As in production: what is away for seconds is not replaced.
               .clock_rates = false}),
        load_(ring_, {.vanishes = false, .call_max = kCallMax}),
        nodes_(options.nodes.value_or(kNodes)) {}

  ScenarioReport run() {
    ring_.found();
    for (std::size_t i = 1; i < nodes_; ++i) ring_.add_node({rng_.below(i)});
    settle("does not even begin");
    load_.prepare();
    for (int i = 0; i < kFaults && ring_.violations().empty(); ++i) {
      // A call that the last fault holds up has its time; the next fault is another one's.
      ring_.world().run_for(kCallMax + rng_.between({}, 2s));
      strike(rng_.below(nodes_));
      settle("does not heal");
    }
    load_.finish();
    load_.verify();
    if (load_.failed() > 0) ring_.violation("errors though never two nodes were disturbed: " + load_.counts());
    auto report = report_of(ring_);
    report.numbers["operations ok"] = load_.ok();
    report.numbers["operations failed"] = load_.failed();
    report.numbers["longest call, milliseconds"] = static_cast<std::uint64_t>(load_.longest() / 1ms);
    return report;
  }

 private:
  void strike(std::size_t index) {
    auto& world = ring_.world();
    auto& host = ring_.host(index);
    const auto lasts = rng_.between(200ms, 8s);
    const auto kind = rng_.below(4);
    world.note(fmt::format("node {}: fault {} for {} ms", index, kind, lasts / 1ms));
    switch (kind) {
      case 0:
        host.crash();
        break;
      case 1:
        host.power_off();
        break;
      case 2:
        host.pause();
        world.run_for(lasts);
        host.resume();
        return;
      default:
        world.network().partition({{&host}});
        world.run_for(lasts);
        world.network().heal_partition();
        return;
    }
    world.run_for(lasts);
    ring_.restart(index);
  }

  void settle(std::string_view what) {
    if (auto wrong = ring_.settle(kSettleMax); !wrong.empty()) ring_.violation(fmt::format("{}: {}", what, wrong));
  }

  Rng rng_;
  RingWorld ring_;
  Workload load_;
  const std::size_t nodes_;
};
}  // namespace

ScenarioReport run_one_down(const ScenarioOptions& options) {
  return OneDownScenario(options).run();
}

}  // namespace chordfs
