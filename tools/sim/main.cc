// chordfs-sim: runs the scenarios by hand, from any seed on.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "daemon/arc/raft/defects.h"
#include "tools/sim/experiments/experiment.h"
#include "tools/sim/explore.h"
#include "tools/sim/main_plot.h"
#include "tools/sim/scenarios.h"

namespace chordfs {
namespace {

constexpr std::string_view kUsage =
    R"(chordfs-sim: whole rings in a virtual world: clock, network and disks with faults, all from a seed

  chordfs-sim list                        the scenarios, and the defects that can be planted
  chordfs-sim run SCENARIO [options]      runs one; ends with 1 if something that must hold did not
  chordfs-sim explore ours|published|printed [--ids N] [--states N]
                                          every order of every step of the ring's protocol over N identifiers (4),
                                          breadth first up to so many states (1,000,000); published: must break for
                                          good, with a check that adopted pointers live; printed: without it
  chordfs-sim explore members [--nodes 3|4] [--states N] [--plant D]
                                          the same of one arc that changes its members: messages, disks, crashes
  chordfs-sim experiment NAME [options]   the Chord paper's experiments, by our own ring: see its --help
  chordfs-sim plot FILE.json -o FILE.svg  the picture of what an experiment printed with --json

  --seed S     the first seed (default 1)
  --seeds N    how many, from S on (default 1)
  --nodes N    the size of the ring (default: drawn from the seed)
  --plant D    with this mistake in the program, to see that it is found; 'chordfs-sim list' names them
  --first      stops at the first seed that finds something, and ends with 0 if one does
  --json       one line of JSON a seed
  --verbose    what the nodes log, and the last lines of the trace of a run that failed
  --help       this

Example: two hundred seeds of clients at work while everything fails, then one of them again, in detail:
  chordfs-sim run files --seed 1 --seeds 200
  chordfs-sim run files --seed 17 --verbose
)";

struct Options {
  const Scenario* scenario = nullptr;
  std::uint64_t seed = 1, seeds = 1;
  std::optional<std::size_t> nodes;
  bool json = false, verbose = false, first = false;
  Defect defect = Defect::none;
};

int usage_error(const std::string& what) {
  fmt::print(stderr, "chordfs-sim: {}; see chordfs-sim --help\n", what);
  return 2;
}

bool parse_number(std::string_view text, std::uint64_t& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\')
      out += fmt::format("\\{}", static_cast<char>(c));
    else if (c < 0x20)
      out += fmt::format("\\u{:04x}", c);
    else
      out += static_cast<char>(c);
  }
  return out + "\"";
}

void print_json(const Options& options, std::uint64_t seed, const ScenarioReport& report) {
  std::string numbers, violations;
  for (const auto& [name, number] : report.numbers) numbers += fmt::format(",{}:{}", json_text(name), number);
  for (const auto& text : report.violations) violations += (violations.empty() ? "" : ",") + json_text(text);
  fmt::print("{{\"scenario\":{},\"seed\":{},\"ok\":{},\"trace_hash\":\"{:016x}\"{},\"violations\":[{}]}}\n",
             json_text(options.scenario->name), seed, report.ok(), report.trace_hash, numbers, violations);
}

void print_text(const Options& options, std::uint64_t seed, const ScenarioReport& report) {
  std::string numbers;
  for (const auto& [name, number] : report.numbers) numbers += fmt::format(", {} {}", number, name);
  fmt::print("{} seed {}: {}, trace {:016x}{}\n", options.scenario->name, seed, report.ok() ? "held" : "BROKEN",
             report.trace_hash, numbers);
  if (report.ok()) return;
  if (options.verbose) fmt::print("{}", report.trace);
  for (const auto& text : report.violations) fmt::print("  {}\n", text);
  fmt::print("  again: chordfs-sim run {} --seed {}{}{} --verbose\n", options.scenario->name, seed,
             options.nodes ? fmt::format(" --nodes {}", *options.nodes) : "",
             options.defect == Defect::none ? "" : fmt::format(" --plant {}", name_of(options.defect)));
}

int run(const Options& options) {
  std::uint64_t broken = 0, seeds = 0, virtual_seconds = 0;
  const auto cpu = std::clock();
  const bool progress = !options.json && isatty(STDERR_FILENO) != 0 && options.seeds > 1;
  for (std::uint64_t seed = options.seed; seed < options.seed + options.seeds; ++seed) {
    if (progress) fmt::print(stderr, "\r{} of {} seeds, {} broken ", seed - options.seed, options.seeds, broken);
    auto report = options.scenario->run({.seed = seed, .nodes = options.nodes});
    if (!report.ok()) ++broken;
    ++seeds;
    virtual_seconds += report.numbers["virtual seconds"];
    if (progress) fmt::print(stderr, "\r\033[K");
    if (options.json)
      print_json(options, seed, report);
    else
      print_text(options, seed, report);
    std::fflush(stdout);
    if (options.first && broken > 0) break;
  }
  const double spent = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  if (!options.json)
    fmt::print("{} held, {} broken; {:.1f} virtual seconds in one of CPU\n", seeds - broken, broken,
               static_cast<double>(virtual_seconds) / std::max(spent, 0.001));
  return (broken == 0) == !options.first ? 0 : 1;
}

int run_command(int argc, char** argv) {
  if (argc < 3) return usage_error("run what?");
  Options options{.scenario = find_scenario(argv[2])};
  if (options.scenario == nullptr) return usage_error(fmt::format("no scenario is called '{}'", argv[2]));
  for (int i = 3; i < argc; ++i) {
    const std::string_view flag = argv[i];
    std::uint64_t number = 0;
    if (flag == "--first")
      options.first = true;
    else if (flag == "--plant") {
      const auto defect = ++i == argc ? std::nullopt : find_defect(argv[i]);
      if (!defect) return usage_error("--plant needs the name of a defect");
      options.defect = *defect;
    } else if (flag == "--json")
      options.json = true;
    else if (flag == "--verbose")
      options.verbose = true;
    else if (flag != "--seed" && flag != "--seeds" && flag != "--nodes")
      return usage_error(fmt::format("what is '{}'?", flag));
    else if (++i == argc || !parse_number(argv[i], number))
      return usage_error(fmt::format("{} needs a number", flag));
    else if (flag == "--seed")
      options.seed = number;
    else if (flag == "--seeds")
      options.seeds = number;
    else if (number == 0 || number > 1000)
      return usage_error("a ring has 1 to 1000 nodes here");
    else
      options.nodes = number;
  }
  spdlog::set_level(options.verbose ? spdlog::level::debug : spdlog::level::off);
  plant(options.defect);
  return run(options);
}

int explore(std::string_view which, std::string_view over, const Explored& protocol, std::size_t states) {
  const bool broken_wanted = which == "published" || which == "printed";
  ExploreOptions options{.starts = protocol.starts(), .states_max = states, .forgive_repairable = broken_wanted};
  const bool progress = isatty(STDERR_FILENO) != 0;
  if (progress)
    options.progress = [](std::size_t reached, std::size_t expanded) {
      fmt::print(stderr, "\r{} states reached, {} expanded ", reached, expanded);
    };
  auto report = explore(protocol, options);
  if (progress) fmt::print(stderr, "\r\033[K");
  fmt::print("{} over {}: from {} states {} reached, {} expanded, {} steps, {}\n", which, over, options.starts.size(),
             report.reached, report.expanded, report.steps, report.complete ? "complete" : "not complete");
  if (broken_wanted) fmt::print("{} broken states that repair can mend\n", report.forgiven);
  if (!report.broken.empty()) {
    fmt::print("BROKEN{}: {}\n  {}\n", broken_wanted ? " for good" : "", report.broken, report.state);
    for (const auto& step : report.history) fmt::print("  {}\n", step);
  }
  // The published protocol, and planted mistakes, are here to be seen to break.
  return report.broken.empty() == (broken_wanted || !planted(Defect::none)) ? 1 : 0;
}

int explore_command(int argc, char** argv) {
  const std::string_view which = argc > 2 ? argv[2] : "";
  const bool members = which == "members";
  if (!members && which != "ours" && which != "published" && which != "printed") return usage_error("explore what?");
  std::uint64_t ids = 4, nodes = 3, states = 1'000'000;
  for (int i = 3; i < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (i + 1 == argc) return usage_error(fmt::format("{} needs a value", flag));
    if (flag == "--plant" && members) {
      const auto defect = find_defect(argv[i + 1]);
      if (!defect) return usage_error("--plant needs the name of a defect");
      plant(*defect);
      continue;
    }
    if (flag != "--states" && flag != (members ? "--nodes" : "--ids"))
      return usage_error(fmt::format("what is '{}'?", flag));
    if (!parse_number(argv[i + 1], flag == "--ids" ? ids : flag == "--nodes" ? nodes : states))
      return usage_error(fmt::format("{} needs a number", flag));
  }
  if (members) {
    if (nodes != 3 && nodes != 4) return usage_error("the members of an arc are explored with 3 or 4 nodes");
    return explore(which, fmt::format("{} nodes", nodes), *arc_members(static_cast<int>(nodes)), states);
  }
  if (ids < 3 || ids > 8) return usage_error("there are 3 to 8 identifiers");
  const auto protocol = which == "ours" ? our_protocol(static_cast<int>(ids))
                                        : published_protocol(static_cast<int>(ids), which == "published");
  return explore(which, fmt::format("{} identifiers", ids), *protocol, states);
}

int main_of(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "explore") return explore_command(argc, argv);
  if (command == "experiment") return experiment_command(argc, argv);
  if (command == "plot") return plot_command(argc, argv);
  if (command == "run") return run_command(argc, argv);
  if (command == "list") {
    for (const auto& scenario : scenarios()) fmt::print("{:8} {}\n", scenario.name, scenario.what);
    fmt::print("\nDefects for --plant:\n");
    for (const auto& [defect, name] : defects()) fmt::print("  {}\n", name);
    return 0;
  }
  if (command == "--help" || command == "-h") {
    fmt::print("{}", kUsage);
    return 0;
  }
  return usage_error(command.empty() ? "do what?" : fmt::format("what is '{}'?", command));
}

}  // namespace
}  // namespace chordfs

int main(int argc, char** argv) {
  return chordfs::main_of(argc, argv);
}
