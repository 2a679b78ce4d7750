#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <set>

#include "proto/rpc/endpoint.h"
#include "tools/cli/nodes.h"
#include "tools/cli/session.h"
#include "tools/cli/text.h"
#include "tools/cli/tree.h"
#include "tools/cli/where.h"

namespace chordfs::cli {

namespace json = boost::json;

namespace {
struct Asked {
  std::string node;
  std::string below = "/";
  bool json = false;
};

/// What one file has on the node.
struct Share {
  bool record = false;
  std::size_t blocks = 0, blocks_here = 0;
  std::uint64_t bytes_here = 0;
  bool any() const { return record || blocks_here > 0; }
};

std::string arcs_text(const std::set<ArcNumber>& arcs) {
  std::string text;
  for (auto arc = arcs.begin(); arc != arcs.end();) {
    auto first = *arc, last = first;
    while (++arc != arcs.end() && *arc == last + 1) last = *arc;
    text += fmt::format("{}{}", text.empty() ? "" : " ", first);
    if (last > first) text += fmt::format("-{}", last);
  }
  return text.empty() ? "none" : text;
}

/// Goes through the tree and prints what lies on the node. Remembers no more than the path that it is on.
class Search {
 public:
  Search(FileSystem& files, std::set<ArcNumber> arcs, bool as_json)
      : files_(files), client_(files.client()), arcs_(std::move(arcs)), json_(as_json) {}

  awaitable<Result<void>> visit(std::string path, Ino ino, wire::FileType type) {
    auto share = type == wire::FILE_REGULAR ? co_await blocks_of(ino) : Result<Share>(Share{});
    if (!share && removed_meanwhile(share.code())) co_return Result<void>();
    if (!share) co_return about(path, share.error());
    share->record = arcs_.contains(client_.arc_of_ino(ino));
    if (share->any()) print(path, ino, type, *share);
    if (type != wire::FILE_DIRECTORY) co_return Result<void>();
    auto below = co_await for_each_entry(
        files_, ino, [&](DirectoryEntry entry) { return visit(joined(path, entry.name), entry.ino, entry.type); });
    if (!below && removed_meanwhile(below.code())) co_return Result<void>();
    co_return below;
  }

  std::uint64_t records() const { return records_; }
  std::uint64_t blocks() const { return blocks_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  static bool removed_meanwhile(Errc code) { return code == Errc::not_found || code == Errc::bad_handle; }

  awaitable<Result<Share>> blocks_of(Ino ino) {
    Share share;
    std::set<std::string> blocks;
    for (std::uint64_t at = 0;;) {
      wire::Query query;
      query.mutable_read_map()->set_ino(ino);
      query.mutable_read_map()->set_offset(at);
      query.mutable_read_map()->set_length(kFileBytesMax - at);
      CO_TRY(auto answer, co_await client_.query(client_.arc_of_ino(ino), std::move(query)));
      for (const auto& extent : answer.extents()) {
        bool here = arcs_.contains(client_.arc_of_block(extent.block()));
        if (blocks.insert(extent.block()).second) share.blocks_here += here;
        if (here) share.bytes_here += extent.length();
      }
      if (answer.end() || answer.extents().empty()) break;
      at = answer.extents().rbegin()->offset() + answer.extents().rbegin()->length();
    }
    share.blocks = blocks.size();
    co_return share;
  }

  void print(const std::string& path, Ino ino, wire::FileType type, const Share& share) {
    records_ += share.record;
    blocks_ += share.blocks_here;
    bytes_ += share.bytes_here;
    if (json_)
      print_json(json::object{{"path", utf8(path)},
                              {"type", type_name(type)},
                              {"ino", fmt::format("{:016x}", ino)},
                              {"record", share.record},
                              {"blocks_here", share.blocks_here},
                              {"blocks", share.blocks},
                              {"bytes_here", share.bytes_here}});
    else
      fmt::print("  {:<6} {:>5} of {:<5} {:>10}  {}\n", share.record ? "yes" : "-", share.blocks_here, share.blocks,
                 human(share.bytes_here), printable(path));
  }

  FileSystem& files_;
  Client& client_;
  std::set<ArcNumber> arcs_;
  bool json_;
  std::uint64_t records_ = 0, blocks_ = 0, bytes_ = 0;
};

json::object to_json(const wire::Status& status) {
  json::array arcs;
  for (const auto& arc : status.arcs())
    arcs.push_back(json::object{
        {"arc", arc.arc()}, {"state", utf8(arc.state())}, {"inodes", arc.inodes()}, {"blocks", arc.blocks()}});
  return {{"endpoint", address(status.peer())}, {"node", hex(status.peer().node())}, {"arcs", std::move(arcs)}};
}

enum class Part { led, held };
/// The arcs that it leads; or all of which it has a copy of its own.
std::set<ArcNumber> arcs_of(const wire::Status& status, Part part) {
  std::set<ArcNumber> arcs;
  for (const auto& arc : status.arcs())
    if (arc.state() == "leader" || (part == Part::held && arc.state() == "voter")) arcs.insert(arc.arc());
  return arcs;
}

void print_node(const wire::Status& status, const std::set<ArcNumber>& held) {
  auto led = arcs_of(status, Part::led);
  fmt::print("{} has a copy of {} arcs: {}\n  of these it leads {}: {}\n", address(status.peer()), held.size(),
             arcs_text(held), led.size(), arcs_text(led));
  for (const auto& arc : status.arcs()) {
    if (held.contains(arc.arc())) continue;
    fmt::print("  arc {} is {}, {}\n", arc.arc(), arc.state() == "learner" ? "being filled" : printable(arc.state()),
               arc.has_leader() ? "led by " + address(arc.leader()) : "its leader is not known");
  }
  fmt::print("  {:<6} {:>14} {:>10}  {}\n", "RECORD", "BLOCKS HERE", "BYTES", "PATH");
}

awaitable<Result<int>> show(RingClient& client, FileSystem& files, Asked asked) {
  CO_TRY(auto node, co_await find_node(client, asked.node));
  wire::StatusRequest request;
  request.set_blocks(true);
  CO_TRY(auto status, co_await ask_status(client, node, request));
  CO_TRY(auto top, co_await resolve(files, asked.below, LastLink::follow));
  auto held = arcs_of(status, Part::held);
  if (asked.json)
    print_json(to_json(status));
  else
    print_node(status, held);
  Search search(files, std::move(held), asked.json);
  CO_TRY_VOID(co_await search.visit(asked.below, top.ino(), top.type()));
  if (!asked.json)
    fmt::print("{} records, {} blocks with {} of files\n", search.records(), search.blocks(), human(search.bytes()));
  co_return kDone;
}
}  // namespace

void add_files(Program& program) {
  auto asked = std::make_shared<Asked>();
  auto* sub =
      add(program,
          {.name = "files",
           .what = "Shows what a node stores, by path; looks at every file",
           .example = "chordfs files 6001 --below /photos",
           .json = "one object a line: first endpoint, node, arcs[arc, state, inodes, blocks]; then for each path of\n"
                   "which something is there: path, type, ino, record (bool), blocks_here, blocks, bytes_here"},
          [asked](Shared shared) {
            asked->json = shared.json;
            asked->below = path_of(asked->below, shared);
            if (shared.via.empty() && parse_endpoint(asked->node)) shared.via = asked->node;
            return with_client(shared, [&](RingClient& client) -> awaitable<Result<int>> {
              FileSystem files(client);
              co_return co_await show(client, files, *asked);
            });
          });
  sub->add_option("NODE", asked->node, "PORT, HOST:PORT, or the first digits of its identity")
      ->required()
      ->check(wrong_node);
  sub->add_option("--below", asked->below, "Only of this path and what is below it")->type_name("PATH");
}

}  // namespace chordfs::cli
