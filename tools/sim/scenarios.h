#pragma once
// Scenarios: what happens to a ring in the virtual world, told from a seed, and whether it bore it. The tests in
// tests/sim and the program chordfs-sim run the same ones.
// Pure as far as the caller can see: the same scenario, seed and size give the same report. Thread: the caller's; a
// scenario owns its world. Errors: in the report.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/sim/ring_world.h"

namespace chordfs {

struct ScenarioOptions {
  std::uint64_t seed = 1;
  std::optional<std::size_t> nodes;  ///< Default: the scenario draws it from the seed.
};

struct ScenarioReport {
  std::vector<std::string> violations;
  std::map<std::string, std::uint64_t> numbers;  ///< What was counted: "operations ok", "seconds to settle" …
  std::uint64_t trace_hash = 0;
  std::string trace;  ///< The last lines; only of a run with violations.

  bool ok() const { return violations.empty(); }
};

struct Scenario {
  std::string_view name;
  std::string_view what;
  ScenarioReport (*run)(const ScenarioOptions&);
};

std::span<const Scenario> scenarios();
const Scenario* find_scenario(std::string_view name);

/// Rings of 1 to 100 nodes under joins, leaves, crashes and restarts that Zave's theorem allows.
ScenarioReport run_ring(const ScenarioOptions& options);
/// Rings of 1 to 1,000 nodes that are nothing but rings, within Zave's theorem or in any storm (chord_scenario.cc).
ScenarioReport run_chord(const ScenarioOptions& options);
/// Clients at work while nodes only join and leave, on a network without faults: no operation may fail.
ScenarioReport run_churn(const ScenarioOptions& options);
/// Clients at work while everything happens that may happen to nodes and networks.
ScenarioReport run_files(const ScenarioOptions& options);
/// Clients at work while one node's disk returns errors or is full.
ScenarioReport run_disk(const ScenarioOptions& options);

/// Clients at work while one node at a time is dead, frozen or cut off: no operation may fail or take over 3 s.
ScenarioReport run_one_down(const ScenarioOptions& options);

/// Clients at work on a few busy arcs while everything happens that replication.md, section 7.2, names.
ScenarioReport run_replicas(const ScenarioOptions& options);

/// What every scenario ends with.
ScenarioReport report_of(RingWorld& ring);

}  // namespace chordfs
