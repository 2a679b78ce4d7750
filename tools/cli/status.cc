#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "tools/cli/health.h"
#include "tools/cli/screen.h"
#include "tools/cli/session.h"
#include "tools/cli/text.h"

namespace chordfs::cli {

namespace {
constexpr Duration kLookEvery = 1s;

int code_of(const Health& health) {
  return health.well() ? kDone : kFailed;
}

/// One look; a second one where something is being copied, because only two tell how fast.
awaitable<Result<int>> show_once(RingClient& client, bool as_json) {
  Filling filling;
  CO_TRY(auto health, co_await look_at_health(client));
  filling.left(health.bytes_left(), client.runtime().now());
  if (health.bytes_left() > 0) {
    co_await client.runtime().sleep(kLookEvery);
    CO_TRY(health, co_await look_at_health(client));
    filling.left(health.bytes_left(), client.runtime().now());
  }
  if (as_json)
    print_json(to_json(health, filling));
  else
    fmt::print("{}", text_of(health, filling));
  co_return code_of(health);
}

awaitable<Result<int>> watch_on_screen(RingClient& client) {
  Screen screen;
  Filling filling;
  for (;;) {
    auto health = co_await look_at_health(client);
    if (health) filling.left(health->bytes_left(), client.runtime().now());
    screen.show(health ? text_of(*health, filling) + "\nq: quit\n"
                       : fmt::format("nobody answers: {}\n", health.error().text()));
    if (co_await screen.quit_within(client.runtime(), kLookEvery)) co_return health ? code_of(*health) : kNotReachable;
  }
}

/// What has changed since the last time, whole.
awaitable<Result<int>> watch_in_lines(RingClient& client, bool as_json) {
  Filling filling;
  std::string last;
  for (bool first = true;; first = false) {
    auto health = co_await look_at_health(client);
    if (!health && first) co_return health.error();
    if (health) filling.left(health->bytes_left(), client.runtime().now());
    auto text = health ? text_of(*health, filling) : fmt::format("nobody answers: {}\n", health.error().text());
    if (health && as_json && text != last)
      print_json(to_json(*health, filling));
    else if (!as_json && text != last)
      fmt::print("{}  {}", date(client.runtime().wall_now()), text);
    std::fflush(stdout);
    last = std::move(text);
    co_await client.runtime().sleep(kLookEvery);
  }
}
}  // namespace

void add_status(Program& program) {
  auto watch = std::make_shared<bool>(false);
  auto* sub =
      add(program,
          {.name = "status",
           .what = "Shows whether all copies are there, and what may be lost",
           .example = "chordfs status --via 6000",
           .json = "one object: ring, replicas, durability (full, relaxed), nodes[node, endpoint, state (up, suspect, "
                   "down), leaving, zone], arcs,\n"
                   "copies_wanted, arcs_all, arcs_majority, arcs_no_majority, learners, bytes_left, bytes_per_second,\n"
                   "seconds_left, can_lose, notes[]; with --watch a line at first and after each change.\n"
                   "Ends with 1 also if a copy or a node is missing"},
          [watch](const Shared& shared) {
            return with_client(shared, [&](RingClient& client) {
              if (!*watch) return show_once(client, shared.json);
              return !shared.json && isatty(STDOUT_FILENO) == 1 ? watch_on_screen(client)
                                                                : watch_in_lines(client, shared.json);
            });
          });
  sub->add_flag("--watch", *watch, "Look again every second, until q or Ctrl-C");
}

}  // namespace chordfs::cli
