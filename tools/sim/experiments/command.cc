// chordfs-sim experiment: the command line of the experiments.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>

#include "tools/sim/experiments/experiment.h"

namespace chordfs {

namespace {
/// False if something is worse than the tolerance allows.
bool run_one(const Experiment& experiment, const ExperimentOptions& options, bool as_json) {
  Report report;
  experiment.run(options, report);
  if (as_json)
    fmt::print("{}\n", boost::json::serialize(to_json(experiment, options, report)));
  else
    fmt::print("{}", to_text(experiment, options, report));
  std::fflush(stdout);
  return report.ok();
}
}  // namespace

int experiment_command(int argc, char** argv) {
  CLI::App app(
      "The Chord paper's experiments, by ChordFS's own ring: the paper's configuration, then ChordFS's defaults",
      "chordfs-sim experiment");
  ExperimentOptions options;
  std::string name;
  bool as_json = false;
  std::string footer = "Ends with 1 if something is worse than the stated tolerance.\n\n";
  for (const auto& experiment : experiments()) footer += fmt::format("  {:14} {}\n", experiment.name, experiment.what);
  app.footer(footer + "  all            one after the other");
  app.add_option("name", name, "which one")->required();
  app.add_option("--nodes", options.nodes, "the size of the ring (default: the paper's)")
      ->check(CLI::Range(2, 1 << 17));
  app.add_option("--seed", options.seed, "of all chance (default 1)");
  app.add_flag("--quick", options.quick, "small samples: some seconds each, wider tolerances");
  app.add_flag("--json", as_json, "one object: experiment, seed, ok, notes[], rows[], worse[]");
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (name != "all") {
    const auto* experiment = find_experiment(name);
    if (experiment == nullptr) {
      fmt::print(stderr, "chordfs-sim: no experiment is called '{}'; see chordfs-sim experiment --help\n", name);
      return 2;
    }
    return run_one(*experiment, options, as_json) ? 0 : 1;
  }
  bool ok = true;
  for (const auto& experiment : experiments()) ok = run_one(experiment, options, as_json) && ok;
  return ok ? 0 : 1;
}

}  // namespace chordfs
