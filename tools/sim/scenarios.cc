#include "tools/sim/scenarios.h"

#include <array>

namespace chordfs {

namespace {
constexpr std::array kScenarios = {
    Scenario{"ring", "1 to 100 nodes join, leave, crash and restart; the ring's invariant after every step", run_ring},
    Scenario{"chord",
             "rings of 1 to 1,000 nodes without files, within the theorem or in a storm; every rule of the checklist",
             run_chord},
    Scenario{"churn", "clients at work while nodes join and leave; no operation may fail", run_churn},
    Scenario{"files", "clients at work while nodes join, leave, crash, lose power, and the network fails", run_files},
    Scenario{"replicas",
             "a few busy arcs while nodes crash, lose disks and power, are cut off, paused and slowed, join and leave",
             run_replicas},
    Scenario{"one_down", "clients at work while one node at a time is dead, frozen or cut off; no operation may fail",
             run_one_down},
    Scenario{"disk", "clients at work while one node's disk returns EIO or is full", run_disk},
};
}  // namespace

std::span<const Scenario> scenarios() {
  return kScenarios;
}

const Scenario* find_scenario(std::string_view name) {
  for (const auto& scenario : kScenarios)
    if (scenario.name == name) return &scenario;
  return nullptr;
}

ScenarioReport report_of(RingWorld& ring) {
  ScenarioReport report;
  report.violations = ring.violations();
  report.numbers["nodes"] = ring.node_count();
  report.numbers["steps"] = ring.world().steps();
  report.numbers["virtual seconds"] = static_cast<std::uint64_t>(ring.world().elapsed() / 1s);
  report.numbers["ring checks"] = ring.ring_checks();
  report.numbers["entries committed"] = ring.arcs().entries_committed();
  report.numbers["records compared"] = ring.arcs().records_compared();
  report.numbers["transactions decided"] = ring.transactions().decided();
  report.numbers["directories moved"] = ring.transactions().directory_moves();
  report.numbers["late prepares"] = ring.transactions().late_prepares();
  report.numbers["blocks acknowledged"] = ring.blocks().acknowledged();
  report.trace_hash = ring.world().trace_hash();
  if (!report.ok()) report.trace = ring.trace_of_violation();
  return report;
}

}  // namespace chordfs
