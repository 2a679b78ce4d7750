#include "daemon/tree/housekeeping.h"

#include <algorithm>
#include <set>

#include "daemon/arc/raft/defects.h"
#include "daemon/tree/extents.h"
#include "daemon/tree/file_locks.h"
#include "daemon/tree/keys.h"
#include "daemon/tree/outcome.h"
#include "daemon/tree/sessions.h"
#include "proto/base/check.h"
#include "proto/wire/block_id.h"

namespace chordfs::tree {

wire::Answer purge(State& state, const wire::Purge& operation) {
  auto ino = operation.ino();
  if (!state.is_orphan(ino)) return refusal(Errc::not_found, "no orphan");
  auto* inode = state.inode(ino);
  CHECK(inode, "orphan {:x}", ino);
  ExtentMap map(state, *inode);
  bool done = map.remove_some(kPurgeExtentsMax);
  map.settle();
  if (done) {
    drop_file_locks_of_inode(state.records(), ino);
    state.set_writer(*inode, 0);
    state.erase_inode(ino);
    state.erase_orphan(ino);
  } else {
    state.changed(*inode);
  }
  return {};
}

void end_writings_of_session(const Place& place, MutableRecords& records, std::uint64_t session) {
  State state(place, records, 0);
  std::vector<std::uint64_t> inos;
  const auto range = keys_with_prefix(writing_session_key(session));
  records.scan(range.from, range.to, [&](std::string_view key, std::string_view) {
    inos.push_back(read_u64(key.substr(9)));
    return true;
  });
  for (auto ino : inos)
    if (auto* inode = state.inode(ino)) state.set_writer(*inode, 0);
  std::move(state).commit(records);
}

wire::Answer clear_outbox(State& state, const wire::ClearOutbox& operation) {
  for (auto seq : operation.seqs()) state.clear_outbox(seq);
  return {};
}

void list_outbox(const Records& records, std::uint32_t entries_max, wire::QueryAnswer& answer) {
  auto limit = static_cast<int>(entries_max == 0 ? kOutboxPageMax : std::min(entries_max, kOutboxPageMax));
  auto blocks = keys_with_prefix("X");
  records.scan(blocks.from, blocks.to, [&](std::string_view key, std::string_view value) {
    auto* entry = answer.add_outbox();
    entry->set_seq(number_in(key));
    entry->set_block(std::string(value));
    return answer.outbox_size() < limit;
  });
  auto with_orphans = answer.outbox_size() + limit;
  auto orphans = keys_with_prefix("O");
  records.scan(orphans.from, orphans.to, [&](std::string_view key, std::string_view) {
    answer.add_outbox()->set_orphan(number_in(key));
    return answer.outbox_size() < with_orphans;
  });
}

wire::QueryAnswer find_garbage(const Place& place, const Records& records, const wire::FindGarbage& query) {
  wire::QueryAnswer answer;
  std::set<std::uint64_t> alive;
  for (const auto& block : query.blocks()) {
    if (block.size() != kBlockIdBytes || !place.is_home_of(ino_of_block(block))) {
      answer.Clear();
      answer.set_error(static_cast<std::uint32_t>(Errc::invalid));
      answer.set_context("not a block of an inode of this arc");
      return answer;
    }
    if (records.get(block_key(block))) continue;
    auto session = session_of_block(block);
    if (is_closed(place, records, session) || planted(Defect::sweep_ignores_open_session))
      answer.add_garbage(block);
    else
      alive.insert(session);
  }
  answer.mutable_sessions()->Add(alive.begin(), alive.end());
  return answer;
}

}  // namespace chordfs::tree
