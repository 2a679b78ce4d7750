#include <fmt/format.h>
#include <unistd.h>

#include "tools/cli/nodes.h"
#include "tools/cli/session.h"
#include "tools/cli/text.h"

namespace chordfs::cli {

namespace {
constexpr int kRadius = 9;

awaitable<Result<int>> show(RingClient& client, bool as_json, bool draw) {
  CO_TRY(auto view, co_await look(client));
  if (as_json) {
    print_json(to_json(view));
    co_return kDone;
  }
  fmt::print("{}\n{}", headline(view), table(view));
  if (draw) fmt::print("\n{}", drawing(view, kRadius));
  co_return kDone;
}
}  // namespace

void add_ring(Program& program) {
  auto draw = std::make_shared<bool>(isatty(STDOUT_FILENO) == 1);
  auto* sub = add(program,
                  {.name = "ring",
                   .what = "Shows the nodes of the ring, and the circle",
                   .example = "chordfs ring --via 6000",
                   .json = "one object: ring, arcs, arcs_served, nodes[node, endpoint, version, state (up, leaving),\n"
                           "positions[index, id, share], arcs (that it leads), copies, arcs_moving, blocks, inodes, "
                           "file_bytes, store_bytes, free_bytes]"},
                  [draw](const Shared& shared) {
                    return with_client(shared, [&](RingClient& client) { return show(client, shared.json, *draw); });
                  });
  sub->add_flag("--drawing", *draw, "Draw the circle (default: on a terminal)");
  sub->add_flag_callback("--no-drawing", [draw] { *draw = false; }, "Leave the drawing out");
}

}  // namespace chordfs::cli
