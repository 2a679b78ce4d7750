#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "proto/rpc/endpoint.h"
#include "tools/cli/nodes.h"
#include "tools/cli/progress.h"
#include "tools/cli/session.h"

namespace chordfs::cli {

namespace {
constexpr Duration kPollEvery = 200ms;
constexpr int kSilencesMax = 25;

std::string progress_line(const Endpoint& node, std::uint32_t left, std::uint32_t first) {
  constexpr std::uint32_t kWidth = 30;
  auto full = first == 0 ? kWidth : kWidth * (first - std::min(left, first)) / first;
  return fmt::format("{}: {} of {} arcs left to hand over [{:<{}}]", node.text(), left, first, std::string(full, '='),
                     kWidth);
}

enum class Few { refused, accepted };  ///< Whether fewer copies than promised may remain.

/// Asks the node to leave and waits until nothing is left on it.
awaitable<Result<void>> hand_over(RingClient& client, Endpoint node, Few few) {
  std::uint32_t first = 0;
  for (int silences = 0;;) {
    Request request;
    request.header.mutable_leave()->set_force(few == Few::accepted);
    auto reply = answered(co_await client.call(node, std::move(request), kClientCallTimeout));
    if (reply) {
      silences = 0;
      const auto& progress = reply->header.leave();
      first = std::max(first, progress.arcs_left());
      show_status(progress_line(node, progress.arcs_left(), first));
      if (progress.done()) co_return Result<void>();
    } else if (reply.code() != Errc::timed_out || ++silences > kSilencesMax) {
      co_return Error{reply.code(), fmt::format("{}: {}", node.text(), reply.error().context)};
    }
    co_await client.runtime().sleep(kPollEvery);
  }
}

awaitable<Result<int>> leave(RingClient& client, std::string typed, Few few) {
  CO_TRY(auto node, co_await find_node(client, typed));
  auto left = co_await hand_over(client, node, few);
  show_status("");
  CO_TRY_VOID(std::move(left));
  fmt::print("{} has left the ring; it holds nothing any more\n", node.text());
  co_return kDone;
}
}  // namespace

void add_leave(Program& program) {
  auto node = std::make_shared<std::string>();
  auto force = std::make_shared<bool>(false);
  auto* sub = add(program,
                  {.name = "leave",
                   .what = "Hands over what a node holds, and ends it",
                   .example = "chordfs leave 10.0.0.7:6000",
                   .json = ""},
                  [node, force](Shared shared) {
                    // The node itself is the surest way into its ring.
                    if (shared.via.empty() && parse_endpoint(*node)) shared.via = *node;
                    return with_client(shared, [&](RingClient& client) {
                      return leave(client, *node, *force ? Few::accepted : Few::refused);
                    });
                  });
  sub->add_option("NODE", *node, "PORT, HOST:PORT, or the first digits of its identity")->required()->check(wrong_node);
  sub->add_flag("--force", *force, "Also if fewer copies than promised remain");
}

}  // namespace chordfs::cli
