#include "fuse/mount/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

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

void split_options(const std::vector<std::string>& given, Options& out) {
  for (std::string_view list : given)
    while (!list.empty()) {
      auto one = list.substr(0, list.find(','));
      list.remove_prefix(std::min(list.size(), one.size() + 1));
      if (one == "nonempty")
        out.nonempty = true;
      else if (!one.empty())
        out.fuse.emplace_back(one);
    }
}

}  // namespace

std::variant<Options, Exit> parse_command_line(int argc, const char* const* argv) {
  Options options;
  std::string via;
  std::vector<std::string> mount_options;

  CLI::App app("Shows a ChordFS ring as a directory.", "chordfs-mount");
  app.footer(kFooter);
  app.set_version_flag("--version", "chordfs-mount " CHORDFS_VERSION);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return fmt::format("chordfs-mount: {} (see chordfs-mount --help)\n", error.what());
  });
  app.add_option("MOUNTPOINT", options.mount_point, "An empty directory")->required();
  app.add_option("--via", via, "Nodes of the ring to enter it by")->required()->type_name("PEER[,PEER...]");
  app.add_flag("-f,--foreground", options.foreground, "Stay in the foreground, log to standard error");
  app.add_option("-o", mount_options, "Mount options as of mount(8) and mount.fuse3(8); also: nonempty")
      ->type_name("OPTION[,OPTION...]")
      ->allow_extra_args(false);
  app.add_option("--log-file", options.log_file, "Append the log to this file")->type_name("FILE");
  app.add_flag("--verbose", options.verbose, "Log each call that failed, and more");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? Exit::ok : Exit::usage;
  }

  auto endpoints = parse_endpoints(via);
  if (!endpoints) {
    fmt::print(stderr, "chordfs-mount: --via: {}\n", endpoints.error().context);
    return Exit::usage;
  }
  options.via = *std::move(endpoints);
  split_options(mount_options, options);
  return options;
}

std::vector<std::string> libfuse_options(const Options& options, bool root) {
  std::vector<std::string> all = {"default_permissions", "subtype=chordfs",
                                  fmt::format("fsname=chordfs:{}", options.via.front().text())};
  // Without suid and dev, libfuse takes both away even from root's mounts.
  if (root) all.insert(all.end(), {"allow_other", "suid", "dev"});
  all.insert(all.end(), options.fuse.begin(), options.fuse.end());
  return all;
}

}  // namespace chordfs::mount
