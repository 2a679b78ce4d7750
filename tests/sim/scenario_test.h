#pragma once
// ScenarioTest: a scenario run with one seed after the other. CHORDFS_SIM_SEEDS=N in the environment: with N seeds each
// (a night's work) instead of as many as a change is worth.
// Owner, thread: GoogleTest's.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <string>

#include "tools/sim/scenarios.h"

namespace chordfs {

inline std::uint64_t seeds_or(std::uint64_t usual) {
  const char* wanted = std::getenv("CHORDFS_SIM_SEEDS");
  const auto number = wanted == nullptr ? 0 : std::strtoull(wanted, nullptr, 10);
  return number == 0 ? usual : number;
}

/// Under sanitizers everything takes ten times as long: a look at a few seeds, not the whole list.
inline bool few_seeds() {
  return seeds_or(8) < 8;
}

inline std::string seed_name(const testing::TestParamInfo<std::uint64_t>& info) {
  return fmt::format("seed{}", info.param);
}

class ScenarioTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::off); }

  /// What a person needs who sees it fail: what was wrong, the end of the trace, one line to paste.
  static ScenarioReport run(std::string_view name, ScenarioOptions options) {
    auto report = find_scenario(name)->run(options);
    std::string numbers;
    for (const auto& [what, number] : report.numbers) numbers += fmt::format("{} {}, ", number, what);
    fmt::print("{} seed {}: {}trace {:016x}\n", name, options.seed, numbers, report.trace_hash);
    if (report.ok()) return report;
    fmt::print("{}", report.trace);
    std::string wrong;
    for (const auto& violation : report.violations) wrong += violation + "\n";
    ADD_FAILURE() << wrong
                  << fmt::format("again: build/bin/chordfs-sim run {} --seed {}{} --verbose", name, options.seed,
                                 options.nodes ? fmt::format(" --nodes {}", *options.nodes) : "");
    return report;
  }
};

}  // namespace chordfs
