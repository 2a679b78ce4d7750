#include "fuse/mount/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "fuse/mount/mount_options.h"
#include "proto/rpc/endpoint.h"

namespace chordfs::mount {

namespace {

constexpr const char* kFooter = R"(
PEER is PORT (on this machine), HOST:PORT or [IPV6]:PORT; several with commas between them are tried in turn.
It returns once the file system serves. Unmount with: fusermount3 -u MOUNTPOINT (or umount, as root).

Exit codes:
  0  mounted (with -f: unmounted again)
  1  failed in another way
  2  wrong command line
  3  mount point: missing, not a directory, not empty, mounted already
  4  FUSE: /dev/fuse or fusermount3 is missing or refuses
  5  no peer answered
  6  a peer is not a ChordFS node, or of another version)";

constexpr const char* kHelperFooter = R"(
SOURCE is PEER[,PEER...]: PORT, HOST:PORT or [IPV6]:PORT. The same in fstab(5):
  node1:6000,node2:6000 /mnt/dht fuse.chordfs _netdev,nofail 0 0)";

constexpr const char* kOptionHelp =
    "Mount options as of mount(8) and mount.fuse3(8); also nonempty, verbose, log-file=FILE, cache-size=SIZE";

/// Those for whom this name was made (mount.fuse.chordfs) call it so: /sbin/mount.TYPE SOURCE DIRECTORY [-sfnv] [-o …].
constexpr std::string_view kHelperPrefix = "mount.";

struct Given {
  Options options;
  std::string via;
  std::string cache_size;
  std::vector<std::string> mount_options;
  Unknown unknown = Unknown::refused;
};

void describe_command(CLI::App& app, Given& given) {
  auto& options = given.options;
  app.footer(kFooter);
  app.add_option("MOUNTPOINT", options.mount_point, "An empty directory")->required();
  app.add_option("--via", given.via, "Nodes of the ring to enter it by")->required()->type_name("PEER[,PEER...]");
  app.add_flag("-f,--foreground", options.foreground, "Stay in the foreground, log to standard error");
  app.add_option("-o", given.mount_options, kOptionHelp)->type_name("OPTION[,OPTION...]")->allow_extra_args(false);
  app.add_option("--cache-size", given.cache_size,
                 "Memory for what was read and what is not yet sent, at least 16M; 256M unless said otherwise")
      ->type_name("SIZE");
  app.add_option("--log-file", options.log_file, "Append the log to this file")->type_name("FILE");
  app.add_flag("--verbose", options.verbose, "Log each call that failed, and more");
}

void describe_helper(CLI::App& app, Given& given) {
  auto& options = given.options;
  app.footer(kHelperFooter);
  app.add_option("SOURCE", given.via, "Nodes of the ring to enter it by")->required();
  app.add_option("DIRECTORY", options.mount_point, "Where to mount")->required();
  app.add_option("-o", given.mount_options, kOptionHelp)->type_name("OPTION[,OPTION...]")->allow_extra_args(false);
  app.add_flag("-f", options.nothing, "Do everything but mount");
  app.add_flag_callback("-s", [&given] { given.unknown = Unknown::ignored; }, "Ignore options that are not known");
  app.add_flag("-n,-v")->description("Ignored");
  app.add_option("-t")->description("Ignored: the type is always fuse.chordfs");
}

std::variant<Options, Exit> usage(std::string_view program, std::string_view what) {
  fmt::print(stderr, "{}: {} (see {} --help)\n", program, what, program);
  return Exit::usage;
}

}  // namespace

int exit_code(Exit exit, Caller caller) {
  if (caller == Caller::person || exit == Exit::ok) return static_cast<int>(exit);
  // mount(8), section EXIT STATUS.
  return exit == Exit::usage ? 1 : 32;
}

Caller caller_of(std::string_view program) {
  program.remove_prefix(program.rfind('/') + 1);
  return program.starts_with(kHelperPrefix) ? Caller::mount8 : Caller::person;
}

Result<std::uint64_t> parse_cache_size(std::string text) {
  const auto given = text;
  std::string problem;
  try {
    problem = CLI::AsSizeValue(false)(text);
  } catch (const CLI::Error& error) {
    problem = error.what();
  }
  if (!problem.empty() || given.starts_with('-'))
    return Error{Errc::invalid, fmt::format("'{}' is no size: bytes, or with a unit, as 64M or 1GiB", given)};
  const auto bytes = std::strtoull(text.c_str(), nullptr, 10);
  if (bytes < kCacheBytesMin) return Error{Errc::invalid, fmt::format("a cache of {} is less than 16M", given)};
  return bytes;
}

std::variant<Options, Exit> parse_command_line(int argc, const char* const* argv) {
  Given given;
  auto& options = given.options;
  options.caller = caller_of(argv[0]);
  const bool by_mount8 = options.caller == Caller::mount8;
  const std::string program = by_mount8 ? "mount.fuse.chordfs" : "chordfs-mount";

  CLI::App app("Shows a ChordFS ring as a directory.", program);
  app.set_version_flag("--version", program + " " CHORDFS_VERSION);
  app.failure_message([&](const CLI::App*, const CLI::Error& error) {
    return fmt::format("{}: {} (see {} --help)\n", program, error.what(), program);
  });
  if (by_mount8)
    describe_helper(app, given);
  else
    describe_command(app, given);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? Exit::ok : Exit::usage;
  }

  for (const auto& list : given.mount_options)
    if (auto added = add_mount_options(list, given.unknown, options); !added)
      return usage(program, added.error().context);
  if (!given.cache_size.empty()) {
    auto bytes = parse_cache_size(given.cache_size);
    if (!bytes) return usage(program, bytes.error().context);
    options.cache_bytes = *bytes;
  }
  if (by_mount8) options.source = given.via;
  auto endpoints = parse_endpoints(given.via);
  if (!endpoints) {
    fmt::print(stderr, "{}: {}{}\n", program, by_mount8 ? "" : "--via: ", endpoints.error().context);
    return Exit::usage;
  }
  options.via = *std::move(endpoints);
  return options;
}

std::vector<std::string> libfuse_options(const Options& options, bool root) {
  std::vector<std::string> all = {
      "default_permissions", "subtype=chordfs",
      "fsname=" + escaped(options.source.empty() ? "chordfs:" + options.via.front().text() : options.source)};
  const bool for_root = std::ranges::find(options.fuse, "allow_root") != options.fuse.end();
  if (root && !for_root) all.emplace_back("allow_other");
  // Without these, libfuse takes both away even from root's mounts.
  if (root) all.insert(all.end(), {"suid", "dev"});
  all.insert(all.end(), options.fuse.begin(), options.fuse.end());
  return all;
}

}  // namespace chordfs::mount
