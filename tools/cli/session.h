#pragma once
// Session: one connection of the command to a ring, and what is done over it. Ends well however it ends: done, failed,
// or interrupted by SIGINT, SIGTERM or SIGHUP; a second signal ends the process at once.
//
// Owner: a subcommand. Thread: main's, which runs the event loop inside. Errors: printed as one line on stderr,
// `chordfs SUBCOMMAND: what happened, to what, what to do`; the exit code is returned.

#include <functional>
#include <list>
#include <string>

#include "fuse/fs/filesystem.h"
#include "proto/client/ring_client.h"
#include "tools/cli/subcommand.h"

namespace chordfs::cli {

/// Gives an exit code or an error. Cancelled when a signal comes.
using ClientWork = std::function<awaitable<Result<int>>(RingClient&)>;
int with_client(const Shared& shared, ClientWork work);

/// What is to be done if the work does not end well, latest first. Tried again while nobody answers, for a minute.
class Undo {
 public:
  using Step = std::function<awaitable<Result<void>>(FileSystem&)>;
  /// `what` completes "could not ".
  void add(std::string what, Step step) { steps_.push_front({std::move(what), std::move(step)}); }
  /// All is well: nothing is to be undone any more.
  void dismiss() { steps_.clear(); }
  /// Prints what could not be undone, and what to do.
  awaitable<void> run(FileSystem& files, const std::string& subcommand);

 private:
  struct Named {
    std::string what;
    Step step;
  };
  std::list<Named> steps_;
};

enum class Opens { nothing, files };  ///< Whether files are opened or changed: that needs a session of the ring.
using FileWork = std::function<awaitable<Result<int>>(FileSystem&, Undo&)>;
int with_files(const Shared& shared, Opens opens, FileWork work);

/// The exit code for an error.
int code_of(const Error& error);

}  // namespace chordfs::cli
