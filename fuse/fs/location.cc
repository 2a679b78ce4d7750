// Where on the ring a file lives, for people: what `getfattr -n user.chordfs.location` shows.
#include <fmt/format.h>

#include <map>

#include "fuse/fs/xattrs.h"

namespace chordfs::fs {

namespace {
/// So much of a file's map is looked through for its blocks, and so many of their arcs are looked up.
constexpr std::uint64_t kMapBytesShown = std::uint64_t{1} << 30;
constexpr std::size_t kBlockArcsShown = 8;

std::string text(const wire::Peer& peer) {
  return fmt::format("{}:{}", peer.host(), peer.port());
}

std::string text(const Location& location) {
  std::string line = fmt::format("key {} arc {} node {}", location.point.hex(), location.arc, text(location.owner));
  if (location.successors.empty()) return line;
  line += " (further:";
  for (const auto& peer : location.successors) line += " " + text(peer);
  return line + ")";
}

struct Blocks {
  std::map<std::string, ArcNumber> arcs;
  bool all = true;
};

awaitable<Result<Blocks>> find_blocks(Core& core, wire::Attr attr) {
  Blocks blocks;
  auto end = std::min<std::uint64_t>(attr.size(), kMapBytesShown);
  blocks.all = end == attr.size();
  for (std::uint64_t at = 0; at < end; at += kMapPieceBytes) {
    wire::Query query;
    auto& read = *query.mutable_read_map();
    read.set_ino(attr.ino());
    read.set_offset(at);
    read.set_length(kMapPieceBytes);
    CO_TRY(auto answer, co_await core.ask(attr.ino(), std::move(query)));
    for (const auto& extent : answer.extents())
      blocks.arcs.emplace(extent.block(), core.client.arc_of_block(extent.block()));
  }
  co_return blocks;
}

awaitable<Result<std::string>> describe_blocks(Core& core, wire::Attr attr) {
  CO_TRY(auto blocks, co_await find_blocks(core, std::move(attr)));
  if (blocks.arcs.empty()) co_return "blocks: none, the contents are in the inode\n";
  std::map<ArcNumber, std::size_t> arcs;
  for (const auto& [block, arc] : blocks.arcs) ++arcs[arc];
  std::string text =
      fmt::format("blocks: {}{} in {} arcs\n", blocks.all ? "" : "at least ", blocks.arcs.size(), arcs.size());
  std::size_t shown = 0;
  for (auto [arc, count] : arcs) {
    if (shown++ == kBlockArcsShown) {
      text += fmt::format("  and {} further arcs\n", arcs.size() - kBlockArcsShown);
      break;
    }
    CO_TRY(auto location, co_await core.client.locate(core.client.arcs().point(arc)));
    text += fmt::format("  {} of them: {}\n", count, fs::text(location));
  }
  co_return text;
}
}  // namespace

awaitable<Result<std::string>> describe_location(Core& core, Ino ino) {
  CO_TRY(auto attr, co_await core.get_attr(ino));
  CO_TRY(auto location, co_await core.client.locate(core.client.arcs().point(core.client.arc_of_ino(ino))));
  auto description = fmt::format("ino {:#x} {}\n", ino, text(location));
  if (attr.type() != wire::FILE_REGULAR) co_return description;
  CO_TRY(auto blocks, co_await describe_blocks(core, std::move(attr)));
  co_return description + blocks;
}

}  // namespace chordfs::fs
