// chordfs-sim: runs the scenarios by hand, from any seed on.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>

#include "tools/sim/scenarios.h"

namespace chordfs {
namespace {

constexpr std::string_view kUsage =
    R"(chordfs-sim: whole rings in a virtual world: clock, network and disks with faults, all from a seed

  chordfs-sim list                        the scenarios
  chordfs-sim run SCENARIO [options]      runs one; ends with 1 if something that must hold did not

  --seed S     the first seed (default 1)
  --seeds N    how many, from S on (default 1)
  --nodes N    the size of the ring (default: drawn from the seed)
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
  bool json = false, verbose = false;
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
  fmt::print("  again: chordfs-sim run {} --seed {}{} --verbose\n", options.scenario->name, seed,
             options.nodes ? fmt::format(" --nodes {}", *options.nodes) : "");
}

int run(const Options& options) {
  std::uint64_t broken = 0;
  const bool progress = !options.json && isatty(STDERR_FILENO) != 0 && options.seeds > 1;
  for (std::uint64_t seed = options.seed; seed < options.seed + options.seeds; ++seed) {
    if (progress) fmt::print(stderr, "\r{} of {} seeds, {} broken ", seed - options.seed, options.seeds, broken);
    auto report = options.scenario->run({.seed = seed, .nodes = options.nodes});
    if (!report.ok()) ++broken;
    if (progress) fmt::print(stderr, "\r\033[K");
    if (options.json)
      print_json(options, seed, report);
    else
      print_text(options, seed, report);
    std::fflush(stdout);
  }
  if (!options.json) fmt::print("{} held, {} broken\n", options.seeds - broken, broken);
  return broken == 0 ? 0 : 1;
}

int run_command(int argc, char** argv) {
  if (argc < 3) return usage_error("run what?");
  Options options{.scenario = find_scenario(argv[2])};
  if (options.scenario == nullptr) return usage_error(fmt::format("no scenario is called '{}'", argv[2]));
  for (int i = 3; i < argc; ++i) {
    const std::string_view flag = argv[i];
    std::uint64_t number = 0;
    if (flag == "--json")
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
  return run(options);
}

int main_of(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "run") return run_command(argc, argv);
  if (command == "list") {
    for (const auto& scenario : scenarios()) fmt::print("{:8} {}\n", scenario.name, scenario.what);
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
