#include "tools/cli/subcommand.h"

#include <fmt/format.h>

namespace chordfs::cli {

namespace {
constexpr const char* kExitCodes =
    "Exit codes: 0 done; 1 failed or interrupted; 2 wrong command line; 3 no node answered.";
}

Program::Program()
    : app("Looks at a ChordFS ring, and reads and writes its files without a mount.\n"
          "  chordfs ring --via 6000\n"
          "  chordfs put report.pdf /\n"
          "  chordfs locate /report.pdf --trace",
          "chordfs") {
  app.footer(std::string("\nEach says more with --help: chordfs put --help\n") + kExitCodes);
  app.require_subcommand(1);
  app.set_version_flag("--version", "chordfs " CHORDFS_VERSION);
  app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
    auto chosen = failed->get_subcommands();
    std::string name = chosen.empty() ? "chordfs" : "chordfs " + chosen.front()->get_name();
    return fmt::format("{}: {} (see {} --help)\n", name, error.what(), name);
  });
}

CLI::App* add(Program& program, const Description& description, std::function<int(const Shared&)> run) {
  auto* sub = program.app.add_subcommand(description.name, description.what);
  std::string footer = "\nFor example:  " + description.example + "\n";
  sub->add_option("--via", program.shared.via,
                  "Node(s) to ask, PORT or HOST:PORT[,...] (default: $CHORDFS_VIA, else 6000)")
      ->type_name("PEER");
  if (!description.json.empty()) {
    sub->add_flag("--json", program.shared.json, "Print JSON, for programs");
    footer += "--json prints " + description.json + "\n";
  }
  sub->footer(footer + kExitCodes);
  sub->callback([&program, run = std::move(run), name = description.name] {
    program.shared.name = name;
    program.chosen = [&program, run] { return run(program.shared); };
  });
  return sub;
}

void add_limit(CLI::App& subcommand, std::uint64_t& limit) {
  subcommand.add_option("--limit", limit, "No more than so many bytes a second: 500000, 20K, 5M")
      ->type_name("RATE")
      ->transform(CLI::AsSizeValue(false).description(""));
}

void add_all(Program& program) {
  add_ring(program);
  add_status(program);
  add_watch(program);
  add_fingers(program);
  add_files(program);
  add_locate(program);
  add_verify(program);
  add_can_stop(program);
  add_leave(program);
  add_ls(program);
  add_cat(program);
  add_put(program);
  add_get(program);
  add_mkdir(program);
  add_mv(program);
  add_rm(program);
}

}  // namespace chordfs::cli
