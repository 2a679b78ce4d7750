#include "tools/sim/block_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/store/block_file.h"
#include "tools/sim/ring_world.h"

namespace chordfs {

bool BlockWatch::wants_reply_to(const Request& request) const {
  return request.header.has_put_block() && !request.header.put_block().passed_on();
}

void BlockWatch::request_arrived(const SimHost& /*at*/, const Request& request) {
  if (!request.header.has_drop_block()) return;
  // From now on it may be gone here and still be there elsewhere; and a second copy of the put may be answered late.
  for (const auto& block : request.header.drop_block().blocks()) {
    acknowledged_[request.header.drop_block().arc()].erase(block);
    dropped_.insert(block);
  }
}

bool BlockWatch::may_hold(ArcNumber arc, const Replica& replica, const std::string& block) const {
  const auto node = ring_.arcs().disk_of(arc, replica);
  return !node || ring_.disk(*node).has_file(BlockName{arc, block}.file());
}

void BlockWatch::served(const SimHost& at, const wire::Request& asked, const Reply& reply) {
  const auto& put = asked.put_block();
  if (reply.header.error() != 0 || dropped_.contains(put.block())) return;
  const auto index = ring_.index_of(at);
  const auto* node = ring_.node(index);
  const auto arc = node == nullptr ? nullptr : node->arcs()->find(put.arc());
  if (!arc || !arc->raft || !arc->raft->leads()) return;
  ++acknowledgements_;
  // The network may bring a put twice, and its second copy may be answered when the leader has begun to drop the block
  // (replicas 152). Whoever put it was told before; that it is still there is looked at in the end.
  if (!acknowledged_[put.arc()].insert(put.block()).second) return;
  const auto& view = arc->raft->view();
  if (!majority(view, [&](const Replica& voter) { return may_hold(put.arc(), voter, put.block()); }))
    ring_.violation(fmt::format("I23: arc {}: node {} says that block {} is stored, and no majority of {} has it",
                                put.arc(), index, hex(put.block()), view.text()));
}

void BlockWatch::spoil(std::size_t node) {
  auto files = ring_.disk(node).files();
  std::erase_if(files, [&](const FileInfo& file) {
    if (!BlockName::parse(file.name) || file.size == 0) return true;
    // A lost disk may come on top of it: that is what the third copy is for.
    std::size_t others = 0;
    for (std::size_t i = 0; i < ring_.node_count(); ++i)
      others += i != node && ring_.disk(i).has_file(file.name) && file_is_whole(i, file.name) ? 1 : 0;
    return others < 2;
  });
  if (files.empty()) return;
  auto& runtime = ring_.world().runtime();
  const auto& file = files[runtime.below(files.size())];
  ring_.disk(node).flip_file(file.name, runtime.below(file.size));
  ring_.world().note(fmt::format("a bit of {} on node {} flips", file.name, node));
  spoilt_.push_back({node, file.name});
}

bool BlockWatch::file_is_whole(std::size_t node, const std::string& file) const {
  const auto name = BlockName::parse(file);
  const auto bytes = ring_.disk(node).file(file);
  const auto header = BlockHeader::decode(*name, bytes.view());
  if (!header) return false;
  const auto data = bytes.view().substr(block_header_bytes(header->length));
  return verify_pieces(*name, *header, pieces_around(header->length, 0, header->length), data).has_value();
}

bool BlockWatch::whole(std::size_t node, ArcNumber arc, const std::string& block) const {
  if (std::ranges::none_of(spoilt_, [&](const Spoilt& one) { return one.node == node; })) return true;
  return file_is_whole(node, BlockName{arc, block}.file());
}

bool BlockWatch::was_spoilt(ArcNumber arc, const std::string& block) const {
  return std::ranges::count(spoilt_, BlockName{arc, block}.file(), &Spoilt::file) > 0;
}

std::uint64_t BlockWatch::bad_copies() const {
  return static_cast<std::uint64_t>(std::ranges::count_if(spoilt_, [&](const Spoilt& one) {
    return ring_.disk(one.node).has_file(one.file) && !file_is_whole(one.node, one.file);
  }));
}

bool BlockWatch::dropped_at_a_voter(ArcNumber arc, const ArcView& view, const std::string& block) const {
  return std::ranges::any_of(view.old_voters, [&](const Replica& voter) {
    const auto index = ring_.arcs().disk_of(arc, voter);
    const auto* node = index ? ring_.node(*index) : nullptr;
    return node != nullptr && node->arcs()->copies().dropped(arc, block);
  });
}

void BlockWatch::joint_begins(ArcNumber arc, const ArcView& view) {
  for (const auto& voter : view.voters) {
    if (std::ranges::count(view.old_voters, voter) > 0) continue;
    for (const auto& block : acknowledged_[arc]) {
      // One that was spoilt somewhere and missed elsewhere may have its last good copy on a third: who compares with a
      // majority does not see it. Whoever leaves hands back what it has.
      if (may_hold(arc, voter, block) || was_spoilt(arc, block)) continue;
      // Its leader may have dropped it by itself: no request that we could see.
      if (dropped_at_a_voter(arc, view, block)) continue;
      // No voter has a good one: that is not the newcomer's fault. Were it waited for, one block that is lost for ever
      // would keep an arc from ever changing its view.
      const bool elsewhere = std::ranges::any_of(view.old_voters, [&](const Replica& old) {
        const auto node = ring_.arcs().disk_of(arc, old);
        return node && may_hold(arc, old, block) && whole(*node, arc, block);
      });
      if (!elsewhere) continue;
      ring_.violation(fmt::format("I19: arc {}: {} is to vote and lacks block {}: {}", arc, voter.at.text(), hex(block),
                                  view.text()));
      return;
    }
  }
}

}  // namespace chordfs
