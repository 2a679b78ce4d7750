#include "daemon/node/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "daemon/node/order.h"
#include "proto/rpc/endpoint.h"

namespace chordfs {

namespace {
/// /var/lib/chordfs/PORT for root, $XDG_STATE_HOME/chordfs/PORT (by default ~/.local/state) for others.
std::filesystem::path data_directory(std::uint16_t port) {
  std::filesystem::path base;
  if (geteuid() == 0)
    base = "/var/lib";
  else if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state)
    base = state;
  else if (const char* home = std::getenv("HOME"); home && *home)
    base = std::filesystem::path(home) / ".local/state";
  else
    base = std::filesystem::temp_directory_path();
  return base / "chordfs" / std::to_string(port);
}

int refuse(const std::string& line) {
  std::fprintf(stderr, "chordfs-node: %s\n", line.c_str());
  return 2;
}

bool is_power_of_two(int number) {
  return number > 0 && (number & (number - 1)) == 0;
}

constexpr std::int64_t kSecondsMax = 366 * std::int64_t{86400};

bool is_label(const std::string& zone) {
  return zone.size() <= kZoneBytesMax && std::ranges::all_of(zone, [](char c) { return c >= ' ' && c <= '~'; });
}
}  // namespace

std::expected<NodeOptions, int> parse_options(int argc, char** argv) {
  NodeOptions options;
  std::string port, peer, data, listen = "127.0.0.1", durability = "full";
  int arcs = 1 << ArcMap::kBitsDefault;
  auto evict_after = std::chrono::duration_cast<std::chrono::seconds>(options.evict_after).count();
  auto sweep_every = std::chrono::duration_cast<std::chrono::seconds>(options.sweep_every).count();
  CLI::App app{
      "One node of a ChordFS ring.\n"
      "  chordfs-node 6000                starts a ring (or comes back to it, if its directory is in one)\n"
      "  chordfs-node 6001 6000           joins it through the node on port 6000\n"
      "  chordfs-node 6000 10.0.0.7:6000 --listen 10.0.0.8\n"
      "Runs in the foreground; SIGTERM stops it cleanly, `chordfs leave` hands its files over first.\n"
      "Exit codes: 0 stopped or left; 1 could not start or the disk failed; 2 wrong command line;\n"
      "3 no ChordFS node answered at PEER.",
      "chordfs-node"};
  app.add_option("port", port, "Port to listen on, 1 to 65535")->required()->type_name("PORT");
  app.add_option("peer", peer, "A node of the ring to join: PORT (on this machine) or HOST:PORT")->type_name("PEER");
  app.add_option("--data", data,
                 "Data directory (default: /var/lib/chordfs/PORT for root, else "
                 "$XDG_STATE_HOME/chordfs/PORT)")
      ->type_name("DIR");
  app.add_option("--listen", listen, "Address to listen on, under which others reach this node")->type_name("ADDR");
  app.add_option("--arcs", arcs, "New ring: arcs that the circle is cut into, a power of two up to 65536");
  app.add_option("--positions", options.positions, "New ring: positions of every node on the circle")
      ->check(CLI::Range(1, 16));
  app.add_option("--replicas", options.replicas, "New ring: copies of everything, an odd number up to 7 (default: 3)");
  app.add_option("--durability", durability,
                 "New ring: full (what is acknowledged is synced) or relaxed (synced within 100 ms, or by fsync)")
      ->check(CLI::IsMember({"full", "relaxed"}));
  app.add_option("--zone", options.zone,
                 "What this node shares its fate with (a rack, a room): copies go to different zones")
      ->type_name("LABEL");
  app.add_option("--evict-after", evict_after,
                 "Seconds that a node may be silent before its copies are made elsewhere (default: 60)")
      ->type_name("SECONDS");
  app.add_option("--sweep-every", sweep_every,
                 "Seconds between two searches for blocks that no file names (default: 600)")
      ->type_name("SECONDS");
  app.add_flag("--verbose", options.verbose, "Log more");
  app.set_version_flag("--version", "chordfs-node " CHORDFS_VERSION);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return std::string("chordfs-node: ") + error.what() + " (see chordfs-node --help)\n";
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return std::unexpected(app.exit(error) == 0 ? 0 : 2);
  }

  options.relaxed = durability == "relaxed";
  auto self = parse_endpoint(listen.find(':') == std::string::npos ? listen + ":" + port : "[" + listen + "]:" + port);
  if (!self) return std::unexpected(refuse(self.error().context));
  options.self = *self;
  if (listen == "0.0.0.0" || listen == "::")
    return std::unexpected(
        refuse("--listen " + listen + ": name the one address under which other nodes reach this one"));
  if (!peer.empty()) {
    auto parsed = parse_endpoint(peer);
    if (!parsed) return std::unexpected(refuse(parsed.error().context));
    if (*parsed == options.self) return std::unexpected(refuse("a node cannot join through itself: name another PEER"));
    options.peer = *parsed;
  }
  if (!is_power_of_two(arcs) || arcs > 1 << ArcMap::kBitsMax)
    return std::unexpected(refuse("--arcs: a power of two from 1 to 65536"));
  while (1 << options.arc_bits > arcs) --options.arc_bits;
  while (1 << options.arc_bits < arcs) ++options.arc_bits;
  if (options.replicas < 1 || options.replicas > kReplicasMax)
    return std::unexpected(refuse(fmt::format("--replicas: from 1 to {}, and odd", kReplicasMax)));
  // A majority of 4 is 3: the fourth voter costs as much as the others and survives nothing more.
  if (options.replicas % 2 == 0)
    return std::unexpected(
        refuse(fmt::format("--replicas {}: an odd number, because {} copies survive no more failures "
                           "than {}",
                           options.replicas, options.replicas, options.replicas - 1)));
  if (!is_label(options.zone))
    return std::unexpected(refuse(fmt::format("--zone: up to {} printable ASCII characters", kZoneBytesMax)));
  if (evict_after < 1 || evict_after > kSecondsMax)
    return std::unexpected(refuse(fmt::format("--evict-after: seconds, from 1 to {}", kSecondsMax)));
  options.evict_after = std::chrono::seconds(evict_after);
  if (sweep_every < 1 || sweep_every > kSecondsMax)
    return std::unexpected(refuse(fmt::format("--sweep-every: seconds, from 1 to {}", kSecondsMax)));
  options.sweep_every = std::chrono::seconds(sweep_every);
  options.data = data.empty() ? data_directory(options.self.port) : std::filesystem::path(data);
  return options;
}

}  // namespace chordfs
