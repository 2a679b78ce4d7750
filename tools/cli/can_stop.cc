#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "proto/rpc/endpoint.h"
#include "tools/cli/health.h"
#include "tools/cli/nodes.h"
#include "tools/cli/session.h"
#include "tools/cli/text.h"

namespace chordfs::cli {

namespace json = boost::json;

namespace {
json::object to_json(const NodeHealth& node, const StopAdvice& advice) {
  json::array waited_for;
  for (const auto& other : advice.waited_for) waited_for.emplace_back(utf8(other.text()));
  return {{"endpoint", utf8(node.at.text())},
          {"can_stop", advice.may()},
          {"arcs_without_majority", advice.broken},
          {"waited_for", std::move(waited_for)}};
}

std::string text_of(const NodeHealth& node, const StopAdvice& advice) {
  if (node.state == NodeHealth::State::down) return node.at.text() + " is down already: nothing changes";
  if (advice.may()) return fmt::format("{} can stop: every arc keeps its majority", node.at.text());
  auto text = fmt::format("{} cannot stop: {} arc{} would be without a majority", node.at.text(), advice.broken,
                          advice.broken == 1 ? "" : "s");
  if (advice.waited_for.empty()) return text + "; there are too few nodes: start more, or use chordfs leave";
  text += "; wait for";
  for (const auto& other : advice.waited_for) text += " " + printable(other.text());
  return text;
}

awaitable<Result<int>> answer(RingClient& client, std::string typed, bool as_json) {
  CO_TRY(auto health, co_await look_at_health(client));
  CO_TRY(auto node, find_in(health, typed));
  auto advised = advice(health, node.node);
  // What does not answer counts for no majority: stopped or not, it is the same.
  if (node.state == NodeHealth::State::down) advised = {};
  if (as_json)
    print_json(to_json(node, advised));
  else
    fmt::print("{}\n", text_of(node, advised));
  co_return advised.may() ? kDone : kFailed;
}
}  // namespace

void add_can_stop(Program& program) {
  auto node = std::make_shared<std::string>();
  auto* sub = add(program,
                  {.name = "can-stop",
                   .what = "Tells whether a node may stop now without anything standing still",
                   .example = "chordfs can-stop 6001 && systemctl restart chordfs-node",
                   .json = "one object: endpoint, can_stop (bool), arcs_without_majority, waited_for[].\n"
                           "Ends with 0 if it may, with 1 if not"},
                  [node](Shared shared) {
                    if (shared.via.empty() && parse_endpoint(*node)) shared.via = *node;
                    return with_client(shared, [&](RingClient& client) { return answer(client, *node, shared.json); });
                  });
  sub->add_option("NODE", *node, "PORT, HOST:PORT, or the first digits of its identity")->required()->check(wrong_node);
}

}  // namespace chordfs::cli
