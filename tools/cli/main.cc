// The `chordfs` command: looks at a ring and asks its nodes for things, without a mount.
#include <CLI/CLI.hpp>

#include "tools/cli/command.h"

int main(int argc, char** argv) {
  using namespace chordfs::cli;
  CLI::App app{
      "Looks at a ChordFS ring and asks its nodes for things.\n"
      "  chordfs ring --via 6000\n"
      "  chordfs locate /mnt/dht/report.pdf --trace\n"
      "  chordfs leave 10.0.0.7:6000\n"
      "Exit codes: 0 done; 1 failed; 2 wrong command line; 3 no node answered.",
      "chordfs"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "chordfs " CHORDFS_VERSION);

  Common common;
  std::string path, node;
  bool trace = false;
  auto shared = [&common](CLI::App* sub) {
    sub->add_option("--via", common.via, "Node(s) to ask: PORT or HOST:PORT[,…] (default: $CHORDFS_VIA, else 6000)")
        ->type_name("PEER");
    return sub;
  };
  auto* ring_command = shared(app.add_subcommand("ring", "The nodes of the ring, their arcs and bytes"));
  ring_command->add_flag("--json", common.json, "One object: ring, arcs, nodes[node, address, state, arcs, …]");
  auto* locate_command = shared(app.add_subcommand("locate", "Where a file's record lives: key, arc, nodes"));
  locate_command->add_option("path", path, "A path in a mounted ring, or from the ring's root")->required();
  locate_command->add_flag("--trace", trace, "Every hop of the lookup, with its time");
  locate_command->add_flag("--json", common.json, "One object: path, ino, key, arc, node, successors, hops");
  auto* leave_command = shared(app.add_subcommand("leave", "Hands everything a node holds to the others and ends it"));
  leave_command->add_option("node", node, "The node: PORT or HOST:PORT")->required();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUsage;
  }
  if (ring_command->parsed()) return ring(common);
  if (locate_command->parsed()) return locate(common, path, trace);
  return leave(common, node);
}
