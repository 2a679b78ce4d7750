#include "tools/cli/nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <tuple>

#include "proto/client/lookup.h"
#include "proto/rpc/endpoint.h"
#include "tools/cli/circle.h"
#include "tools/cli/text.h"

namespace chordfs::cli {

namespace json = boost::json;

namespace {
constexpr std::size_t kIdentityDigits = 8;

double share_of(const Id& predecessor, const Id& self) {
  constexpr double kCircle = 18446744073709551616.0;  // 2^64
  // Alone on the circle, it precedes itself and owns everything.
  return predecessor == self ? 1.0 : static_cast<double>((self - predecessor).top()) / kCircle;
}

void add_positions(NodeRow& row, const wire::Status& status) {
  for (const auto& wire : status.positions()) {
    Position self, predecessor;
    if (!parse(wire.self(), self)) continue;
    auto& point = row.positions.emplace_back();
    point.index = self.index;
    point.id = self.id;
    if (parse(wire.predecessor(), predecessor)) point.share = share_of(predecessor.id, self.id);
  }
}

NodeRow row_of(const wire::Status& status) {
  NodeRow row{.node = hex(status.peer().node()),
              .at = endpoint_of(status.peer()),
              .version = printable(status.version()),
              .state = status.leaving() ? "leaving" : "up",
              .store_bytes = status.disk_used(),
              .free_bytes = status.disk_free()};
  add_positions(row, status);
  for (const auto& arc : status.arcs()) {
    // Only a leader names members; while its node leaves, that is its state.
    bool leads = arc.state() == "leader" || !arc.members().empty();
    row.arcs += leads;
    (leads || arc.state() == "voter" ? row.copies : row.arcs_moving) += 1;
    row.blocks += arc.blocks();
    row.file_bytes += arc.bytes();
    row.inodes += arc.inodes();
  }
  return row;
}

json::object to_json(const NodeRow& row) {
  json::array positions;
  for (const auto& point : row.positions)
    positions.push_back(json::object{{"index", point.index}, {"id", point.id.hex()}, {"share", point.share}});
  return {{"node", row.node},
          {"endpoint", row.at.text()},
          {"version", row.version},
          {"state", row.state},
          {"positions", std::move(positions)},
          {"arcs", row.arcs},
          {"copies", row.copies},
          {"arcs_moving", row.arcs_moving},
          {"blocks", row.blocks},
          {"inodes", row.inodes},
          {"file_bytes", row.file_bytes},
          {"store_bytes", row.store_bytes},
          {"free_bytes", row.free_bytes}};
}

std::string name(const NodeRow& row) {
  return fmt::format("{} {}", row.node.substr(0, kIdentityDigits), row.at.text());
}

void compare(const NodeRow& before, const NodeRow& after, std::vector<std::string>& lines) {
  if (before.state != after.state) lines.push_back(fmt::format("{} is {}", name(after), after.state));
  if (before.at != after.at) lines.push_back(fmt::format("{} was at {}", name(after), before.at.text()));
  if (before.arcs != after.arcs)
    lines.push_back(fmt::format("{} leads {} arcs, {} before", name(after), after.arcs, before.arcs));
}
}  // namespace

double NodeRow::share() const {
  double sum = 0;
  for (const auto& point : positions) sum += point.share;
  return sum;
}

RingView view_of(const Uuid& ring, const ArcMap& arcs, const std::vector<wire::Status>& statuses) {
  RingView view{ring, arcs, {}, {}};
  for (const auto& status : statuses) {
    view.nodes.push_back(row_of(status));
    for (const auto& arc : status.arcs())
      if ((arc.state() == "leader" || !arc.members().empty()) && arc.arc() < arcs.count()) view.led.insert(arc.arc());
  }
  std::ranges::sort(view.nodes, {}, [](const NodeRow& row) { return std::tie(row.at, row.node); });
  for (std::size_t i = 0; i < view.nodes.size(); ++i) view.nodes[i].letter = letter_of(i);
  return view;
}

std::string headline(const RingView& view) {
  return fmt::format("ring {}: {} node{}, {} of {} arcs served", view.ring.brief(), view.nodes.size(),
                     view.nodes.size() == 1 ? "" : "s", view.arcs_served(), view.arcs.count());
}

std::string table(const RingView& view) {
  auto text =
      fmt::format("  {:<8}  {:<21} {:<7} {:>9} {:>6} {:>5} {:>6} {:>7} {:>7} {:>10} {:>10}  {}\n", "NODE", "ADDRESS",
                  "STATE", "POSITIONS", "CIRCLE", "LEADS", "COPIES", "INODES", "BLOCKS", "STORED", "FREE", "VERSION");
  for (const auto& row : view.nodes)
    text += fmt::format("{} {:<8}  {:<21} {:<7} {:>9} {:>5.1f}% {:>5} {:>6} {:>7} {:>7} {:>10} {:>10}  {}\n",
                        row.letter, row.node.substr(0, kIdentityDigits), row.at.text(), row.state, row.positions.size(),
                        row.share() * 100, row.arcs, row.copies, row.inodes, row.blocks, human(row.store_bytes),
                        human(row.free_bytes), row.version);
  return text;
}

std::string drawing(const RingView& view, int radius) {
  std::vector<Mark> marks;
  for (const auto& row : view.nodes)
    for (const auto& point : row.positions) marks.push_back({point.id, row.letter});
  auto count = marks.size();
  return draw_circle(
      std::move(marks), radius,
      {"ring " + view.ring.brief(), fmt::format("nodes {}", view.nodes.size()), fmt::format("positions {}", count),
       fmt::format("arcs {}/{}", view.arcs_served(), view.arcs.count())});
}

json::object to_json(const RingView& view) {
  json::array nodes;
  for (const auto& row : view.nodes) nodes.push_back(to_json(row));
  return {{"ring", view.ring.hex()},
          {"arcs", view.arcs.count()},
          {"arcs_served", view.arcs_served()},
          {"nodes", std::move(nodes)}};
}

std::vector<std::string> changes(const RingView& before, const RingView& after) {
  std::vector<std::string> lines;
  for (const auto& row : after.nodes) {
    auto earlier = std::ranges::find(before.nodes, row.node, &NodeRow::node);
    if (earlier == before.nodes.end())
      lines.push_back(fmt::format("{} joined, {} arcs", name(row), row.arcs));
    else
      compare(*earlier, row, lines);
  }
  for (const auto& row : before.nodes)
    if (std::ranges::find(after.nodes, row.node, &NodeRow::node) == after.nodes.end())
      lines.push_back(name(row) + " is gone");
  return lines;
}

awaitable<Result<RingView>> look(RingClient& client) {
  CO_TRY(auto statuses, co_await client.walk(true));
  co_return view_of(client.ring(), client.arcs(), statuses);
}

std::string wrong_node(const std::string& typed) {
  auto endpoint = parse_endpoint(typed);
  constexpr std::size_t kDigitsMin = 4;
  bool digits = typed.size() >= kDigitsMin && typed.find_first_not_of("0123456789abcdef") == std::string::npos;
  return endpoint || digits ? "" : endpoint.error().context;
}

awaitable<Result<Endpoint>> find_node(RingClient& client, std::string typed) {
  auto endpoint = parse_endpoint(typed);
  if (endpoint) co_return endpoint;
  CO_TRY(auto view, co_await look(client));
  std::vector<Endpoint> found;
  for (const auto& row : view.nodes)
    if (row.node.starts_with(typed)) found.push_back(row.at);
  if (found.size() == 1) co_return found.front();
  co_return Error{Errc::invalid,
                  fmt::format("{} nodes of this ring begin with {}: see chordfs ring", found.size(), typed)};
}

awaitable<Result<wire::Status>> ask_status(RingClient& client, Endpoint node, wire::StatusRequest request) {
  Request message;
  *message.header.mutable_status() = request;
  auto reply = answered(co_await client.call(node, std::move(message), kClientCallTimeout));
  if (!reply) co_return Error{reply.code(), fmt::format("{}: {}", node.text(), reply.error().context)};
  co_return std::move(*reply->header.mutable_status());
}

}  // namespace chordfs::cli
