#include <unistd.h>

#include <cstdio>

#include "proto/rpc/endpoint.h"
#include "tools/cli/command.h"

namespace chordfs::cli {

namespace {
constexpr Duration kPollEvery = 200ms;
constexpr int kSilencesMax = 25;

/// Asks the node to leave and waits until nothing is left on it.
awaitable<Result<int>> watch(RingClient& client, Endpoint node) {
  bool terminal = isatty(STDERR_FILENO) == 1;
  int silences = 0;
  for (;;) {
    Request request;
    request.header.mutable_leave();
    auto reply = answered(co_await client.call(node, std::move(request), kClientCallTimeout));
    if (reply) {
      silences = 0;
      const auto& progress = reply->header.leave();
      if (terminal)
        std::fprintf(stderr, "\r%s: %u arcs left to hand over   ", node.text().c_str(), progress.arcs_left());
      if (progress.done()) break;
    } else if (reply.code() != Errc::timed_out || ++silences > kSilencesMax) {
      co_return reply.error();
    }
    co_await client.runtime().sleep(kPollEvery);
  }
  if (terminal) std::fprintf(stderr, "\n");
  std::printf("%s has left the ring; it holds nothing any more\n", node.text().c_str());
  co_return kDone;
}
}  // namespace

int leave(Common common, std::string node) {
  auto endpoint = parse_endpoint(node);
  if (!endpoint) {
    std::fprintf(stderr, "chordfs leave: %s\n", endpoint.error().context.c_str());
    return kWrongUsage;
  }
  // The node itself is the surest way into its ring.
  if (common.via.empty()) common.via = node;
  return with_client("leave", std::move(common),
                     [node = *endpoint](RingClient& client) { return watch(client, node); });
}

}  // namespace chordfs::cli
