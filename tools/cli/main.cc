// The `chordfs` command: looks at a ring and asks its nodes for things. Here only the parts are put together.
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "tools/cli/subcommand.h"

int main(int argc, char** argv) {
  using namespace chordfs::cli;
  // What goes wrong is one line of ours; the log is for programs that run on.
  spdlog::set_level(spdlog::level::off);
  std::signal(SIGPIPE, SIG_IGN);
  Program program;
  add_all(program);
  try {
    program.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.app.exit(error) == 0 ? kDone : kWrongUsage;
  }
  try {
    int code = program.chosen();
    return std::fflush(stdout) == 0 || code != kDone ? code : kFailed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "chordfs: %s\n", error.what());
    return kFailed;
  }
}
