#include "daemon/tree/queries.h"

#include <algorithm>

#include "daemon/tree/extents.h"
#include "daemon/tree/file_locks.h"
#include "daemon/tree/housekeeping.h"
#include "daemon/tree/keys.h"
#include "daemon/tree/locks.h"
#include "daemon/tree/outcome.h"
#include "daemon/tree/sessions.h"
#include "daemon/tree/transactions.h"
#include "proto/wire/limits.h"

namespace chordfs::tree {

namespace {
wire::QueryAnswer query_refusal(Errc code, std::string context) {
  wire::QueryAnswer answer;
  answer.set_error(static_cast<std::uint32_t>(code));
  answer.set_context(std::move(context));
  return answer;
}

wire::QueryAnswer query_locked(const wire::TxId& holder) {
  auto answer = query_refusal(Errc::locked, "an undecided transaction is about to change it");
  *answer.mutable_locked_by() = holder;
  return answer;
}

wire::QueryAnswer query_missing(const Records& records, std::uint64_t ino) {
  if (auto lock = inode_lock(records, ino)) return query_locked(lock->holder);
  return query_refusal(Errc::bad_handle, "the inode is gone");
}

/// Why there are no names to look for in this directory; without an error if there may be.
wire::QueryAnswer check_directory(const Records& records, std::uint64_t dir) {
  wire::Inode inode;
  if (!load_inode(records, dir, inode)) return query_missing(records, dir);
  if (inode.attr().type() != wire::FILE_DIRECTORY) return query_refusal(Errc::not_directory, "not a directory");
  if (inode.attr().nlink() == 0) return query_refusal(Errc::not_found, "the directory was removed");
  return {};
}

wire::QueryAnswer lookup(const Place& place, const Records& records, const wire::Lookup& query) {
  if (auto refused = check_directory(records, query.dir()); refused.error() != 0) return refused;
  if (query.name().size() > kNameBytesMax) return query_refusal(Errc::name_too_long, "a name over 255 bytes");
  if (auto holder = entry_lock(records, query.dir(), query.name())) return query_locked(*holder);
  auto value = records.get(entry_key(query.dir(), query.name()));
  if (!value) return query_refusal(Errc::not_found, "no such entry");
  auto found = decode_entry(*value);

  wire::QueryAnswer answer;
  auto* entry = answer.mutable_entry();
  entry->set_name(query.name());
  entry->set_ino(found.ino);
  entry->set_type(found.type);
  entry->set_cookie(cookie_of(name_hash(query.name())));
  if (!place.is_home_of(found.ino)) return answer;
  wire::Inode inode;
  if (!load_inode(records, found.ino, inode)) return query_missing(records, found.ino);
  if (auto holder = changer(records, inode.attr())) return query_locked(*holder);
  *answer.mutable_attr() = std::move(*inode.mutable_attr());
  return answer;
}

/// Adds extents within [from, to); sets `end` if there are no more of them.
void add_extents(const Records& records, std::uint64_t ino, std::uint64_t from, std::uint64_t to,
                 wire::QueryAnswer& answer) {
  answer.set_end(true);
  scan_extents(records, ino, from, to, [&](const wire::Extent& extent) {
    if (answer.extents_size() == kExtentsPerAnswerMax) {
      answer.set_end(false);
      return false;
    }
    *answer.add_extents() = clipped(extent, from, to);
    return true;
  });
}

bool is_inline(const wire::Inode& inode) {
  return inode.attr().allocated() == inode.inline_data().size();
}

wire::QueryAnswer get_inode(const Records& records, const wire::GetInode& query) {
  wire::QueryAnswer answer;
  auto* inode = answer.mutable_inode();
  if (!load_inode(records, query.ino(), *inode)) return query_missing(records, query.ino());
  if (auto lock = inode_lock(records, query.ino())) return query_locked(lock->holder);
  if (query.parent_only()) return answer;
  if (auto holder = changer(records, inode->attr())) return query_locked(*holder);
  if (!query.with_xattrs()) inode->clear_xattrs();
  bool with_data = query.open() && inode->attr().type() == wire::FILE_REGULAR;
  if (with_data && is_inline(*inode)) {
    answer.set_has_inline(true);
    answer.set_end(true);
  } else if (with_data) {
    add_extents(records, query.ino(), 0, kOpenMapBytes, answer);
  }
  if (!with_data) inode->clear_inline_data();
  return answer;
}

wire::QueryAnswer read_map(const Records& records, const wire::ReadMap& query) {
  wire::QueryAnswer answer;
  wire::Inode inode;
  if (!load_inode(records, query.ino(), inode)) return query_missing(records, query.ino());
  if (inode.attr().type() == wire::FILE_DIRECTORY) return query_refusal(Errc::is_directory, "a directory");
  if (inode.attr().type() != wire::FILE_REGULAR) return query_refusal(Errc::invalid, "not a regular file");
  *answer.mutable_inode()->mutable_attr() = inode.attr();
  if (is_inline(inode)) {
    answer.set_has_inline(true);
    answer.set_end(true);
    *answer.mutable_inode()->mutable_inline_data() = inode.inline_data();
    return answer;
  }
  auto room = std::numeric_limits<std::uint64_t>::max() - query.offset();
  add_extents(records, query.ino(), query.offset(), query.offset() + std::min(room, query.length()), answer);
  return answer;
}

/// Fills a page with entries from hash `from` on; returns the highest hash that it speaks for.
std::uint64_t add_entries(const Records& records, const wire::ReadDir& query, std::uint64_t from,
                          wire::QueryAnswer& answer) {
  auto wanted = query.entries_max() == 0 ? kDirEntriesPerPageMax : std::min(query.entries_max(), kDirEntriesPerPageMax);
  answer.set_end(true);
  auto last = from;
  records.scan(entry_key_from(query.dir(), from), entry_keys(query.dir()).to,
               [&](std::string_view key, std::string_view value) {
                 auto [hash, name] = entry_name_in(key);
                 // Names of one hash have one cookie: a page that ended among them would lose some.
                 if (answer.entries_size() >= static_cast<int>(wanted) && hash != last) {
                   answer.set_end(false);
                   return false;
                 }
                 auto found = decode_entry(value);
                 auto* entry = answer.add_entries();
                 entry->set_name(std::string(name));
                 entry->set_ino(found.ino);
                 entry->set_type(found.type);
                 entry->set_cookie(cookie_of(hash));
                 last = hash;
                 return true;
               });
  return answer.end() ? kNameHashMax : last;
}

/// Attributes of those inodes that are here and that no transaction is about to change: the others are asked for.
void add_attributes(const Place& place, const Records& records, wire::QueryAnswer& answer) {
  for (auto& entry : *answer.mutable_entries()) {
    wire::Inode inode;
    if (place.is_home_of(entry.ino()) && !inode_lock(records, entry.ino()) && load_inode(records, entry.ino(), inode))
      *entry.mutable_attr() = inode.attr();
  }
}

wire::QueryAnswer read_dir(const Place& place, const Records& records, const wire::ReadDir& query) {
  auto answer = check_directory(records, query.dir());
  // Who has a removed directory open sees it empty, as on any Linux filesystem.
  if (static_cast<Errc>(answer.error()) == Errc::not_found) {
    answer.Clear();
    answer.set_end(true);
  }
  auto from = hash_after(query.after());
  if (answer.error() != 0 || answer.end()) return answer;
  if (from > kNameHashMax) {
    answer.set_end(true);
    return answer;
  }
  auto last = add_entries(records, query, from, answer);
  if (auto holder = entry_lock_within(records, query.dir(), from, last)) return query_locked(*holder);
  if (query.plus()) add_attributes(place, records, answer);
  return answer;
}

wire::QueryAnswer state_of_transaction(const Place& place, const Records& records,
                                       const wire::TransactionState& query) {
  wire::QueryAnswer answer;
  if (query.tx().arc() != place.arc) return query_refusal(Errc::invalid, "coordinated by another arc");
  answer.set_tx_state(transaction_state(records, query.tx().index()));
  answer.set_low_water(low_water(place, records));
  return answer;
}

wire::QueryAnswer find_locks(const Records& records, std::uint64_t ino, const wire::FileLock& wanted) {
  wire::QueryAnswer answer;
  wire::Inode inode;
  if (!load_inode(records, ino, inode)) return query_missing(records, ino);
  for (auto& held : blockers(records, ino, wanted)) *answer.add_locks() = std::move(held);
  return answer;
}

wire::QueryAnswer arc_usage(const Records& records) {
  auto usage = load_usage(records);
  wire::QueryAnswer answer;
  answer.set_inodes(usage.inodes);
  answer.set_bytes(usage.bytes);
  return answer;
}
}  // namespace

wire::QueryAnswer answer_query(const Place& place, const Records& records, const wire::Query& query) {
  wire::QueryAnswer answer;
  switch (query.kind_case()) {
    case wire::Query::kLookup:
      return lookup(place, records, query.lookup());
    case wire::Query::kGetInode:
      return get_inode(records, query.get_inode());
    case wire::Query::kReadDir:
      return read_dir(place, records, query.read_dir());
    case wire::Query::kReadMap:
      return read_map(records, query.read_map());
    case wire::Query::kListTransactions:
      list_transactions(place, records, answer);
      return answer;
    case wire::Query::kTransactionState:
      return state_of_transaction(place, records, query.transaction_state());
    case wire::Query::kListOutbox:
      list_outbox(records, query.list_outbox().entries_max(), answer);
      return answer;
    case wire::Query::kListSessions:
      for (auto session : list_sessions(records)) answer.add_sessions(session);
      return answer;
    case wire::Query::kSessionState:
      if (!place.is_home_of(query.session_state().session()))
        return query_refusal(Errc::invalid, "a session of another arc");
      answer.set_session_open(is_open(records, query.session_state().session()));
      return answer;
    case wire::Query::kArcUsage:
      return arc_usage(records);
    case wire::Query::kFindGarbage:
      return find_garbage(place, records, query.find_garbage());
    case wire::Query::kFindLocks:
      return find_locks(records, query.find_locks().ino(), query.find_locks().lock());
    case wire::Query::kAwaitLock:
      return find_locks(records, query.await_lock().ino(), query.await_lock().lock());
    case wire::Query::kTellWait:
    case wire::Query::kWaitsOf:
      return answer;  // The leader's affair.
    case wire::Query::KIND_NOT_SET:
      break;
  }
  return query_refusal(Errc::bad_message, "a query of unknown kind");
}

}  // namespace chordfs::tree
