#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "proto/wire/limits.h"
#include "tools/cli/command.h"

namespace chordfs::cli {

namespace json = boost::json;

namespace {
std::string address(const wire::Peer& peer) {
  return fmt::format("{}:{}", peer.host(), peer.port());
}
double milliseconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

/// From the root, name by name.
awaitable<Result<std::uint64_t>> resolve(RingClient& client, std::string path) {
  auto at = kRootIno;
  std::size_t begin = 0;
  while (begin < path.size()) {
    auto end = std::min(path.find('/', begin), path.size());
    auto name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    wire::Query query;
    query.mutable_lookup()->set_dir(at);
    query.mutable_lookup()->set_name(name);
    auto answer = co_await client.query(client.arc_of_ino(at), std::move(query));
    if (!answer) co_return Error{answer.code(), fmt::format("{}: {}", path.substr(0, end), answer.error().context)};
    at = answer->entry().ino();
  }
  co_return at;
}

void print_trace(const Location& location) {
  int number = 0;
  for (const auto& hop : location.hops)
    std::printf("  hop %d  %-22s position %-2u %s  %-12s %.2f ms\n", ++number, hop.node.text().c_str(), hop.index,
                hop.position.brief().c_str(), hop.outcome.c_str(), milliseconds(hop.took));
}

json::object to_json(const std::string& path, std::uint64_t ino, const Location& location) {
  json::array hops, successors;
  for (const auto& hop : location.hops)
    hops.push_back(json::object{{"node", hop.node.text()},
                                {"position", hop.position.hex()},
                                {"outcome", hop.outcome},
                                {"milliseconds", milliseconds(hop.took)}});
  for (const auto& peer : location.successors) successors.emplace_back(address(peer));
  return {{"path", path},
          {"ino", ino},
          {"key", location.point.hex()},
          {"arc", location.arc},
          {"node", address(location.owner)},
          {"successors", std::move(successors)},
          {"hops", std::move(hops)}};
}

awaitable<Result<int>> show(RingClient& client, std::string path, bool trace, bool as_json) {
  CO_TRY(auto ino, co_await resolve(client, path));
  CO_TRY(auto location, co_await client.locate(client.arcs().point(client.arc_of_ino(ino))));
  if (as_json) {
    std::printf("%s\n", json::serialize(to_json(path, ino, location)).c_str());
    co_return kDone;
  }
  std::printf("%s\n  inode  %016llx\n  key    %s\n  arc    %u of %u\n  node   %s\n", path.c_str(),
              static_cast<unsigned long long>(ino), location.point.hex().c_str(), location.arc, client.arcs().count(),
              address(location.owner).c_str());
  for (const auto& peer : location.successors) std::printf("  then   %s\n", address(peer).c_str());
  if (trace) print_trace(location);
  co_return kDone;
}
}  // namespace

int locate(Common common, std::string path, bool trace) {
  auto found = where(path);
  if (common.via.empty()) common.via = found.via;
  bool as_json = common.json;
  return with_client("locate", std::move(common), [path = found.path, trace, as_json](RingClient& client) {
    return show(client, path, trace, as_json);
  });
}

}  // namespace chordfs::cli
