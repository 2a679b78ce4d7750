#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "tools/cli/command.h"

namespace chordfs::cli {

namespace json = boost::json;

namespace {
struct Row {
  std::string node, address, version, state;
  std::size_t positions = 0, arcs = 0;
  std::uint64_t blocks = 0, bytes = 0, inodes = 0, used = 0, free = 0;
};

Row row_of(const wire::Status& status) {
  Row row{.node = hex(status.peer().node()).substr(0, 8),
          .address = fmt::format("{}:{}", status.peer().host(), status.peer().port()),
          .version = status.version(),
          .state = status.leaving() ? "leaving" : "up"};
  row.positions = static_cast<std::size_t>(status.positions_size());
  for (const auto& arc : status.arcs()) {
    row.arcs += arc.state() == "leader";
    row.blocks += arc.blocks();
    row.bytes += arc.bytes();
    row.inodes += arc.inodes();
  }
  row.used = status.disk_used();
  row.free = status.disk_free();
  return row;
}

void print_json(const Uuid& ring, const ArcMap& arcs, const std::vector<Row>& rows) {
  json::array nodes;
  for (const auto& row : rows)
    nodes.push_back(json::object{{"node", row.node},
                                 {"endpoint", row.address},
                                 {"version", row.version},
                                 {"state", row.state},
                                 {"positions", row.positions},
                                 {"arcs", row.arcs},
                                 {"blocks", row.blocks},
                                 {"inodes", row.inodes},
                                 {"file_bytes", row.bytes},
                                 {"store_bytes", row.used},
                                 {"free_bytes", row.free}});
  json::object all{{"ring", ring.hex()}, {"arcs", arcs.count()}, {"nodes", std::move(nodes)}};
  std::printf("%s\n", json::serialize(all).c_str());
}

void print_table(const Uuid& ring, const ArcMap& arcs, const std::vector<Row>& rows) {
  std::size_t held = 0;
  for (const auto& row : rows) held += row.arcs;
  std::printf("ring %s: %zu nodes, %zu of %u arcs served\n", ring.brief().c_str(), rows.size(), held, arcs.count());
  std::printf("%-10s %-22s %-8s %9s %5s %7s %8s %10s %10s %s\n", "NODE", "ADDRESS", "STATE", "POSITIONS", "ARCS",
              "INODES", "BLOCKS", "STORED", "FREE", "VERSION");
  for (const auto& row : rows)
    std::printf("%-10s %-22s %-8s %9zu %5zu %7llu %8llu %10s %10s %s\n", row.node.c_str(), row.address.c_str(),
                row.state.c_str(), row.positions, row.arcs, static_cast<unsigned long long>(row.inodes),
                static_cast<unsigned long long>(row.blocks), human(row.used).c_str(), human(row.free).c_str(),
                row.version.c_str());
}

awaitable<Result<int>> show(RingClient& client, bool as_json) {
  CO_TRY(auto statuses, co_await client.walk(true));
  std::vector<Row> rows;
  for (const auto& status : statuses) rows.push_back(row_of(status));
  std::ranges::sort(rows, {}, &Row::address);
  if (as_json)
    print_json(client.ring(), client.arcs(), rows);
  else
    print_table(client.ring(), client.arcs(), rows);
  co_return kDone;
}
}  // namespace

int ring(Common common) {
  bool as_json = common.json;
  return with_client("ring", std::move(common), [as_json](RingClient& client) { return show(client, as_json); });
}

}  // namespace chordfs::cli
