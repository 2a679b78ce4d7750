#pragma once
// The command line of chordfs-mount, and the other one that it has where it is called mount.fuse.chordfs: mount(8)
// calls that for `mount -t fuse.chordfs` and for lines of fstab(5). Pure, but for what CLI11 prints for --help and
// --version.

#include <string>
#include <variant>
#include <vector>

#include "fuse/fs/filesystem.h"
#include "fuse/mount/exit.h"
#include "proto/rpc/transport.h"

namespace chordfs::mount {

struct Options {
  std::string mount_point;
  std::vector<Endpoint> via;
  Caller caller = Caller::person;
  std::string source;  ///< As mount(8) gave it, which looks for it in the list of mounts; empty: it was not mount(8).
  bool foreground = false;
  bool nothing = false;   ///< mount -f: only look at the options.
  bool remount = false;   ///< -o remount: the flags of a mount that exists.
  bool nonempty = false;  ///< -o nonempty: ours, libfuse 3 does not know it.
  bool verbose = false;
  std::vector<std::string> fuse;                   ///< -o: each one option, for libfuse and the kernel.
  std::uint64_t cache_bytes = kCacheBytesDefault;  ///< --cache-size.
  std::string log_file;                            ///< Empty: standard error, or nowhere in the background.
};

/// The options, or how to end at once (--help, --version, a mistake), the text having been printed.
std::variant<Options, Exit> parse_command_line(int argc, const char* const* argv);

/// Bytes, or with a unit: 64M, 1GiB.
Result<std::uint64_t> parse_cache_size(std::string text);

/// Who calls a program of this name.
Caller caller_of(std::string_view program);

/// What libfuse is told: ours first, so that the user's own -o may override them.
std::vector<std::string> libfuse_options(const Options& options, bool root);

}  // namespace chordfs::mount
