#pragma once
// The command line of chordfs-mount. Pure, but for what CLI11 prints for --help and --version.

#include <string>
#include <variant>
#include <vector>

#include "fuse/mount/exit.h"
#include "proto/rpc/transport.h"

namespace chordfs::mount {

struct Options {
  std::string mount_point;
  std::vector<Endpoint> via;
  bool foreground = false;
  bool nonempty = false;  ///< -o nonempty: ours, libfuse 3 does not know it.
  bool verbose = false;
  std::vector<std::string> fuse;  ///< -o: each one option, for libfuse and the kernel.
  std::string log_file;           ///< Empty: standard error, or nowhere in the background.
};

/// The options, or how to end at once (--help, --version, a mistake), the text having been printed.
std::variant<Options, Exit> parse_command_line(int argc, const char* const* argv);

/// What libfuse is told: ours first, so that the user's own -o may override them.
std::vector<std::string> libfuse_options(const Options& options, bool root);

}  // namespace chordfs::mount
