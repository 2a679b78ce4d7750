// The scenarios with clients: "churn", "files" and "disk".
#include <fmt/format.h>

#include "tools/sim/chaos.h"
#include "tools/sim/scenarios.h"
#include "tools/sim/workload.h"

namespace chordfs {

namespace {
constexpr Duration kSettleMax = 120s;
constexpr std::size_t kNodesMax = 10;

struct Plan {
  ChaosOptions chaos;
  WorkloadOptions load = {};
  bool disk_faults = false;
  double ok_min = 0.5;  ///< Share of operations that must succeed, or the run says nothing.
};

class FilesScenario {
 public:
  FilesScenario(const ScenarioOptions& options, Plan plan)
      : seed_(options.seed),
        rng_(Rng::derived(options.seed, "files scenario")),
        plan_(std::move(plan)),
        ring_({.seed = options.seed,
               .arc_bits = 4 + static_cast<int>(rng_.below(2)),
               .positions = 1 + static_cast<int>(rng_.below(4)),
               .disk_faults = plan_.disk_faults}),
        load_(ring_, plan_.load),
        nodes_(options.nodes.value_or(3 + rng_.below(5))) {}

  ScenarioReport run() {
    begin();
    Chaos chaos(ring_.world(), plan_.chaos, plan_chaos(plan_.chaos, seed_), rules());
    chaos.start();
    if (plan_.disk_faults) break_a_disk();
    ring_.world().run_for(plan_.chaos.duration);
    chaos.calm();
    mend_disks();
    const Time calm = ring_.world().now();
    // The ring becomes whole while clients go on; only then do they end.
    if (auto wrong = ring_.settle(kSettleMax); !wrong.empty()) ring_.violation("does not settle: " + wrong);
    const auto settled_in = ring_.world().now() - calm;
    load_.finish();
    if (auto wrong = ring_.settle(kSettleMax); !wrong.empty()) ring_.violation("does not settle again: " + wrong);
    load_.verify();
    judge_counts();
    auto report = report_of(ring_);
    report.numbers["seconds to settle"] = static_cast<std::uint64_t>(settled_in / 1s);
    report.numbers["faults"] = chaos.struck();
    report.numbers["operations ok"] = load_.ok();
    report.numbers["operations failed"] = load_.failed();
    report.numbers["doubts"] = load_.oracle().doubts();
    report.numbers["objects made"] = load_.oracle().size();
    report.numbers["mounts killed while they wrote"] = load_.vanished();
    report.numbers["added under locks"] = load_.added();
    report.numbers["register histories given up"] = load_.registers_given_up();
    report.numbers["nodes ended by their disk"] = ring_.disk_ends();
    return report;
  }

 private:
  void begin() {
    ring_.found();
    for (std::size_t i = 1; i < nodes_; ++i) ring_.add_node({rng_.below(i)});
    if (auto wrong = ring_.settle(kSettleMax); !wrong.empty()) ring_.violation("does not even begin: " + wrong);
    load_.prepare();
  }

  ChaosRules rules() {
    ChaosRules rules;
    rules.victims = [this] { return ring_.members(); };
    rules.restart = [this](SimHost& host) { ring_.restart(ring_.index_of(host)); };
    rules.join = [this] { join(); };
    rules.leave = [this](SimHost& host) { leave(ring_.index_of(host)); };
    return rules;
  }

  void join() {
    const auto doors = ring_.serving_nodes();
    if (doors.empty() || ring_.members().size() >= kNodesMax) return;
    ring_.add_node({doors[rng_.below(doors.size())]});
  }
  void leave(std::size_t index) {
    if (ring_.serving_nodes().size() > 2 && ring_.serving(index)) ring_.leave(index);
  }

  /// One disk has its bad moments: operations that fail, then a time without room.
  void break_a_disk() {
    const auto victim = rng_.below(nodes_);
    auto& world = ring_.world();
    world.after(rng_.between(2s, 8s), [this, victim] {
      ring_.world().note(fmt::format("the disk of node {} is full", victim));
      ring_.disk(victim).options().capacity_bytes = 1;
    });
    world.after(rng_.between(12s, 16s), [this, victim] {
      ring_.world().note(fmt::format("the disk of node {} has room again", victim));
      ring_.disk(victim).options().capacity_bytes = SimDiskOptions().capacity_bytes;
    });
    world.after(rng_.between(18s, 24s), [this, victim] {
      ring_.world().note(fmt::format("the disk of node {} fails", victim));
      ring_.disk(victim).options().io_error_probability = 0.02;
    });
    world.after(rng_.between(26s, 30s), [this, victim] {
      ring_.world().note(fmt::format("the disk of node {} is mended", victim));
      ring_.disk(victim).options().io_error_probability = 0;
    });
  }
  void mend_disks() {
    for (std::size_t i = 0; i < ring_.node_count(); ++i) {
      ring_.disk(i).options().io_error_probability = 0;
      ring_.disk(i).options().capacity_bytes = SimDiskOptions().capacity_bytes;
    }
  }

  void judge_counts() {
    const auto all = static_cast<double>(load_.ok() + load_.failed());
    if (static_cast<double>(load_.ok()) < plan_.ok_min * all)
      ring_.violation(fmt::format("too few operations succeeded to mean anything: {}", load_.counts()));
  }

  const std::uint64_t seed_;
  Rng rng_;
  const Plan plan_;
  RingWorld ring_;
  Workload load_;
  const std::size_t nodes_;
};

/// Four kinds of misfortune, so that each is met alone and all are met together.
ChaosOptions chaos_of(std::uint64_t seed) {
  ChaosOptions chaos{.duration = 40s, .lasts_max = 5s};
  using enum FaultKind;
  switch (seed % 4) {
    case 0:
      chaos.per_minute = {{crash, 10}, {power_off, 5}, {join, 6}, {leave, 4}};
      break;
    case 1:
      chaos.per_minute = {{pause, 6}, {partition, 4}, {cut, 5}, {weather, 5}, {join, 5}, {leave, 3}};
      break;
    case 2:
      chaos.per_minute = {{power_loss, 2}, {crash, 4}, {weather, 3}, {join, 4}, {leave, 2}};
      break;
    default:
      chaos.per_minute = {{crash, 5}, {power_off, 3}, {power_loss, 0.5}, {pause, 3}, {partition, 3},
                          {cut, 3},   {weather, 3},   {clock_jump, 2},   {join, 5},  {leave, 4}};
  }
  return chaos;
}
}  // namespace

ScenarioReport run_churn(const ScenarioOptions& options) {
  Plan plan{.chaos = {.duration = 40s}, .ok_min = 1.0};
  plan.chaos.per_minute = {{FaultKind::join, 12}, {FaultKind::leave, 9}};
  return FilesScenario(options, std::move(plan)).run();
}

ScenarioReport run_files(const ScenarioOptions& options) {
  return FilesScenario(options, {.chaos = chaos_of(options.seed)}).run();
}

ScenarioReport run_disk(const ScenarioOptions& options) {
  Plan plan{.chaos = {.duration = 32s}, .disk_faults = true};
  plan.chaos.per_minute = {{FaultKind::join, 4}, {FaultKind::crash, 2}};
  return FilesScenario(options, std::move(plan)).run();
}

}  // namespace chordfs
