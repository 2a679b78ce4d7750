#pragma once
// Subcommand: how each subcommand of `chordfs` says what it is called, what it takes and what it does. One file per
// subcommand has one add_NAME function; add_all() calls them in the order of --help.
//
// Owner: main. Thread: main's. Errors: of the command line are CLI11's; a subcommand returns an exit code.

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace chordfs::cli {

/// Exit codes, as --help states them.
inline constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2, kNotReachable = 3;

/// What a person gave to every subcommand alike.
struct Shared {
  std::string name;  ///< Of the subcommand, for messages.
  std::string via;   ///< As typed; empty: from $CHORDFS_VIA, the mount that a path lies in, or port 6000.
  bool json = false;
};

/// The command line while it is put together and parsed.
struct Program {
  Program();
  CLI::App app;
  Shared shared;
  std::function<int()> chosen;  ///< What the subcommand that was named does.
};

struct Description {
  std::string name;
  std::string what;     ///< One line.
  std::string example;  ///< The command line that one would type.
  std::string json;     ///< What --json prints: fields in order. Empty: there is no --json.
};

/// Adds a subcommand with --via (and --json) to the program. `run` is called after parsing.
CLI::App* add(Program& program, const Description& description, std::function<int(const Shared&)> run);

/// --limit, in bytes a second.
void add_limit(CLI::App& subcommand, std::uint64_t& limit);

void add_ring(Program& program);
void add_status(Program& program);
void add_can_stop(Program& program);
void add_verify(Program& program);
void add_fingers(Program& program);
void add_files(Program& program);
void add_locate(Program& program);
void add_watch(Program& program);
void add_leave(Program& program);
void add_ls(Program& program);
void add_cat(Program& program);
void add_put(Program& program);
void add_get(Program& program);
void add_mkdir(Program& program);
void add_mv(Program& program);
void add_rm(Program& program);
void add_all(Program& program);

}  // namespace chordfs::cli
