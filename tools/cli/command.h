#pragma once
// The `chordfs` command: what its subcommands share. Each is a coroutine that prints and returns an exit code.
// Thread: the one that runs the io_context. Errors: one line on stderr, `chordfs SUBCOMMAND: what happened`.

#include <boost/asio/io_context.hpp>
#include <string>
#include <vector>

#include "proto/client/ring_client.h"

namespace chordfs::cli {

/// Exit codes, as --help states them.
inline constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2, kNotReachable = 3;

struct Common {
  std::string via;  ///< As typed; empty: from $CHORDFS_VIA, the mount that a path lies in, or port 6000.
  bool json = false;
};

/// Connects through `common.via` and gives the client to `work`; prints its error, returns the exit code.
int with_client(const std::string& subcommand, Common common, std::function<awaitable<Result<int>>(RingClient&)> work);

int ring(Common common);
int locate(Common common, std::string path, bool trace);
int leave(Common common, std::string node);

/// A path as a person types it: inside a mounted ring (then relative to its root, and `via` is that mount's), or a path
/// of the ring itself.
struct Where {
  std::string path;  ///< Absolute, from the root of the ring.
  std::string via;   ///< Empty unless the path lies in a mount that tells it.
};
Where where(const std::string& typed);

/// "12.3 GiB"
std::string human(std::uint64_t bytes);

}  // namespace chordfs::cli
