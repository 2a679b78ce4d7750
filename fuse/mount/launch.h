#pragma once
// Launch: how the program comes to serve, in the foreground or in the background, and how whoever started it learns
// the outcome. In the background that is a parent process, which ends when the child says that it serves or why not.
// Owner: main. Thread: the first; in_background() must be called before there is any other.

#include <string>

#include "fuse/mount/exit.h"
#include "fuse/mount/options.h"

namespace chordfs::mount {

class Launch {
 public:
  /// Forks unless options.foreground; then only the child returns, still with the caller's terminal and session.
  static Launch begin(const Options& options);
  Launch(Launch&& other) noexcept;
  ~Launch();

  /// Lets the parent end well, and leaves the terminal: session of its own, directory /, no standard streams (or the
  /// log file). Nothing in the foreground.
  void serving();
  /// Tells the parent, which prints it; in the foreground prints it. Once it serves: logs it.
  void failed(const Failure& failure);

 private:
  Launch() = default;

  Caller caller_ = Caller::person;
  int to_parent_ = -1;  ///< The pipe; -1 in the foreground, or once the parent knows.
  std::string log_file_;
  bool serving_ = false;
};

/// Where log lines go from now on, and which. A problem if the log file cannot be written; makes its path absolute.
Problem start_log(Options& options);

}  // namespace chordfs::mount
