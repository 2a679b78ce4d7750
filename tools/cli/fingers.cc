#include "tools/cli/fingers.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "proto/rpc/endpoint.h"
#include "tools/cli/nodes.h"
#include "tools/cli/session.h"
#include "tools/cli/text.h"

namespace chordfs::cli {

namespace json = boost::json;

namespace {
std::vector<Position> parse_all(const google::protobuf::RepeatedPtrField<wire::Position>& from) {
  std::vector<Position> all;
  for (const auto& wire : from)
    if (Position position; parse(wire, position)) all.push_back(std::move(position));
  return all;
}

struct Tables {
  std::vector<Table> positions;
  wire::LookupCounters lookups;
};

Tables tables_of(const wire::Status& status) {
  Tables all{{}, status.lookups()};
  for (const auto& wire : status.positions()) {
    Table table;
    if (!parse(wire.self(), table.self)) continue;
    if (Position predecessor; parse(wire.predecessor(), predecessor)) table.predecessor = predecessor;
    table.successors = parse_all(wire.successors());
    std::vector<Position> fingers;
    for (const auto& known : status.fingers())
      if (known.index() == table.self.index) fingers = parse_all(known.fingers());
    table.fingers = spans(table.self, table.successors, fingers);
    all.positions.push_back(std::move(table));
  }
  return all;
}

std::string text(const Position& position) {
  return fmt::format("{}  {} #{}", position.id.brief(), position.at.text(), position.index);
}

double mean_path(const wire::LookupCounters& counters) {
  auto asked = counters.lookups() - std::min(counters.local(), counters.lookups());
  return asked == 0 ? 0 : static_cast<double>(counters.hops()) / static_cast<double>(asked);
}

void print(const Tables& tables) {
  for (const auto& table : tables.positions) {
    fmt::print("position {}\n", text(table.self));
    fmt::print("  predecessor        {}\n", table.predecessor ? text(*table.predecessor) : "not known");
    for (const auto& successor : table.successors) fmt::print("  successor          {}\n", text(successor));
    for (const auto& finger : table.fingers)
      fmt::print("  + 2^{:<3} to 2^{:<3}     {}\n", finger.first, finger.last, text(finger.position));
  }
  const auto& counters = tables.lookups;
  fmt::print(
      "lookups {}: {} from memory, mean path {:.2f} hops; {} by the location cache; {} did not answer, {} overtaken, "
      "{} stale\n",
      counters.lookups(), counters.local(), mean_path(counters), counters.cache_hits(), counters.timeouts(),
      counters.overtaken(), counters.stale());
}

json::object to_json(const Position& position) {
  return {{"id", position.id.hex()},
          {"endpoint", position.at.text()},
          {"node", position.node.hex()},
          {"index", position.index}};
}

json::object to_json(const Table& table) {
  json::array successors, fingers;
  for (const auto& successor : table.successors) successors.push_back(to_json(successor));
  for (const auto& finger : table.fingers)
    fingers.push_back(json::object{
        {"first_power", finger.first}, {"last_power", finger.last}, {"position", to_json(finger.position)}});
  json::value predecessor;
  if (table.predecessor) predecessor = to_json(*table.predecessor);
  return {{"self", to_json(table.self)},
          {"predecessor", std::move(predecessor)},
          {"successors", std::move(successors)},
          {"fingers", std::move(fingers)}};
}

json::object to_json(const Tables& tables, const Endpoint& node) {
  json::array positions;
  for (const auto& table : tables.positions) positions.push_back(to_json(table));
  const auto& counters = tables.lookups;
  json::object lookups{{"lookups", counters.lookups()},       {"local", counters.local()},
                       {"cache_hits", counters.cache_hits()}, {"hops", counters.hops()},
                       {"timeouts", counters.timeouts()},     {"overtaken", counters.overtaken()},
                       {"stale", counters.stale()},           {"mean_path", mean_path(counters)}};
  return {{"endpoint", node.text()}, {"positions", std::move(positions)}, {"lookups", std::move(lookups)}};
}

awaitable<Result<int>> show(RingClient& client, std::string typed, bool as_json) {
  CO_TRY(auto node, co_await find_node(client, typed));
  wire::StatusRequest request;
  request.set_fingers(true);
  CO_TRY(auto status, co_await ask_status(client, node, request));
  auto tables = tables_of(status);
  if (as_json)
    print_json(to_json(tables, node));
  else
    print(tables);
  co_return kDone;
}
}  // namespace

std::vector<Finger> spans(const Position& self, std::vector<Position> successors,
                          const std::vector<Position>& fingers) {
  successors.insert(successors.end(), fingers.begin(), fingers.end());
  successors.push_back(self);
  std::vector<Finger> spans;
  for (int power = 0; power < Id::kBits; ++power) {
    auto target = self.id.plus_power(power);
    const auto& next = *std::ranges::min_element(successors, {}, [&](const Position& p) { return p.id - target; });
    if (!spans.empty() && spans.back().position == next)
      spans.back().last = power;
    else
      spans.push_back({power, power, next});
  }
  return spans;
}

void add_fingers(Program& program) {
  auto node = std::make_shared<std::string>();
  auto* sub = add(
      program,
      {.name = "fingers",
       .what = "Shows whom a node knows, and what its lookups cost",
       .example = "chordfs fingers 6001",
       .json =
           "one object: endpoint, positions[self, predecessor (or null), successors[],\n"
           "fingers[first_power, last_power, position]], lookups{lookups, local, cache_hits, hops, timeouts,\n"
           "overtaken, stale, mean_path}; a position is id, endpoint, node, index. Finger i is successor(self + 2^i)"},
      [node](Shared shared) {
        if (shared.via.empty() && parse_endpoint(*node)) shared.via = *node;
        return with_client(shared, [&](RingClient& client) { return show(client, *node, shared.json); });
      });
  sub->add_option("NODE", *node, "PORT, HOST:PORT, or the first digits of its identity")->required()->check(wrong_node);
}

}  // namespace chordfs::cli
