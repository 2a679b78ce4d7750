#pragma once
// How chordfs-mount ends: the codes that --help promises, and a reason in one line.

#include <optional>
#include <string>

namespace chordfs::mount {

enum class Exit : int {
  ok = 0,
  failed = 1,       ///< Anything not named below; the line says what.
  usage = 2,        ///< The command line.
  mount_point = 3,  ///< Missing, not a directory, not empty, mounted already.
  fuse = 4,         ///< /dev/fuse, fusermount3, or the kernel refused.
  unreachable = 5,  ///< No peer answered.
  not_chordfs = 6,  ///< A peer answered, but it is no ChordFS node that we can talk to.
};

struct Failure {
  Exit exit = Exit::failed;
  std::string text;  ///< One line.
};

/// Who started us. mount(8) has a list of codes of its own, and gives its caller ours.
enum class Caller { person, mount8 };
int exit_code(Exit exit, Caller caller);

/// Nothing: all is well.
using Problem = std::optional<Failure>;

}  // namespace chordfs::mount
