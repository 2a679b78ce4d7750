#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "proto/rpc/endpoint.h"
#include "tools/cli/session.h"
#include "tools/cli/text.h"
#include "tools/cli/tree.h"
#include "tools/cli/where.h"

namespace chordfs::cli {

namespace json = boost::json;

namespace {
struct Locate {
  std::string path;
  bool trace = false;
  bool json = false;
};

void print_trace(const Location& location) {
  int number = 0;
  Duration sum{};
  for (const auto& hop : location.hops) {
    fmt::print("  hop {}  {:<22} position {:<2} {}  {:<12} {:.2f} ms\n", ++number, hop.node.text(), hop.index,
               hop.position.brief(), hop.outcome, milliseconds(hop.took));
    sum += hop.took;
  }
  fmt::print("  in all {:.2f} ms\n", milliseconds(sum));
}

json::object to_json(const Locate& asked, Ino ino, const Location& location) {
  json::array hops, successors;
  for (const auto& hop : location.hops)
    hops.push_back(json::object{{"node", hop.node.text()},
                                {"index", hop.index},
                                {"position", hop.position.hex()},
                                {"outcome", hop.outcome},
                                {"milliseconds", milliseconds(hop.took)}});
  for (const auto& peer : location.successors) successors.emplace_back(address(peer));
  return {{"path", utf8(asked.path)}, {"ino", fmt::format("{:016x}", ino)}, {"key", location.point.hex()},
          {"arc", location.arc},      {"node", address(location.owner)},    {"successors", std::move(successors)},
          {"hops", std::move(hops)}};
}

awaitable<Result<int>> show(FileSystem& files, Locate asked) {
  CO_TRY(auto attr, co_await resolve(files, asked.path, LastLink::keep));
  auto& client = files.client();
  CO_TRY(auto location, co_await client.locate(client.arcs().point(client.arc_of_ino(attr.ino()))));
  if (asked.json) {
    print_json(to_json(asked, attr.ino(), location));
    co_return kDone;
  }
  fmt::print("{}\n  inode  {:016x}\n  key    {}\n  arc    {} of {}\n  node   {}\n", printable(asked.path), attr.ino(),
             location.point.hex(), location.arc, client.arcs().count(), address(location.owner));
  for (const auto& peer : location.successors) fmt::print("  then   {}\n", address(peer));
  if (asked.trace) print_trace(location);
  co_return kDone;
}
}  // namespace

void add_locate(Program& program) {
  auto asked = std::make_shared<Locate>();
  auto* sub =
      add(program,
          {.name = "locate",
           .what = "Shows where a file's record lives: key, arc, nodes",
           .example = "chordfs locate /report.pdf --trace",
           .json = "one object: path, ino, key, arc, node, successors[], hops[node, index, position, outcome,\n"
                   "milliseconds]"},
          [asked](Shared shared) {
            asked->path = path_of(asked->path, shared);
            asked->json = shared.json;
            return with_files(shared, Opens::nothing, [&](FileSystem& files, Undo&) { return show(files, *asked); });
          });
  sub->add_option("PATH", asked->path, "A path in a mounted ring, or from the ring's root")->required();
  sub->add_flag("--trace", asked->trace, "Show every hop of the lookup, with its time");
}

}  // namespace chordfs::cli
