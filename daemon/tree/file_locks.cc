#include "daemon/tree/file_locks.h"

#include "daemon/tree/keys.h"
#include "daemon/tree/lock_ranges.h"
#include "proto/base/bytes.h"

namespace chordfs::tree {

namespace {
// Key: F, ino, kind (1), session, owner, start. Value: end (8), type (1), pid (4).
constexpr std::size_t kKeyBytes = 1 + 8 + 1 + 8 + 8 + 8;
constexpr std::size_t kValueBytes = 8 + 1 + 4;

bool is_valid(const wire::FileLock& lock) {
  return wire::FileLock::Kind_IsValid(lock.kind()) && wire::FileLock::Type_IsValid(lock.type()) &&
         lock.start() <= lock.end() && lock.end() <= kLockEndMax;
}

bool same_owner(const wire::FileLock& one, const wire::FileLock& other) {
  return one.session() == other.session() && one.owner() == other.owner();
}

std::vector<wire::FileLock> locks_below(const Records& records, const std::string& prefix) {
  std::vector<wire::FileLock> locks;
  auto range = keys_with_prefix(prefix);
  records.scan(range.from, range.to, [&](std::string_view key, std::string_view value) {
    locks.push_back(decode_file_lock(key, value));
    return true;
  });
  return locks;
}

void erase_below(MutableRecords& records, const std::string& prefix) {
  std::vector<std::string> keys;
  auto range = keys_with_prefix(prefix);
  records.scan(range.from, range.to, [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return true;
  });
  for (const auto& key : keys) records.erase(key);
}

bool has_any(const Records& records, const std::string& prefix) {
  bool found = false;
  auto range = keys_with_prefix(prefix);
  records.scan(range.from, range.to, [&](std::string_view, std::string_view) {
    found = true;
    return false;
  });
  return found;
}

void put(MutableRecords& records, std::uint64_t ino, const wire::FileLock& owner, const LockRange& range) {
  std::string value;
  append_u64(value, range.end);
  value.push_back(static_cast<char>(range.type));
  append_u32(value, range.pid);
  records.put(file_lock_key(ino, owner.kind(), owner.session(), owner.owner(), range.start), std::move(value));
}

/// Says in G whether the session has any lock on the inode.
void note_session(MutableRecords& records, std::uint64_t ino, std::uint64_t session) {
  auto key = locking_session_key(session, ino);
  const bool noted = records.get(key).has_value();
  const bool holds = has_any(records, file_locks_key(ino, wire::FileLock::RECORD, session)) ||
                     has_any(records, file_locks_key(ino, wire::FileLock::FLOCK, session));
  if (holds && !noted) records.put(key, "");
  if (!holds && noted) records.erase(key);
}
}  // namespace

bool conflict(const wire::FileLock& held, const wire::FileLock& wanted) {
  if (held.kind() != wanted.kind() || wanted.type() == wire::FileLock::NONE || same_owner(held, wanted)) return false;
  if (held.type() == wire::FileLock::SHARED && wanted.type() == wire::FileLock::SHARED) return false;
  return overlap(held.start(), held.end(), wanted.start(), wanted.end());
}

wire::FileLock decode_file_lock(std::string_view key, std::string_view value) {
  wire::FileLock lock;
  lock.set_kind(static_cast<wire::FileLock::Kind>(key[9]));
  lock.set_session(read_u64(key.substr(10)));
  lock.set_owner(read_u64(key.substr(18)));
  lock.set_start(read_u64(key.substr(26)));
  lock.set_end(read_u64(value));
  lock.set_type(static_cast<wire::FileLock::Type>(value[8]));
  lock.set_pid(read_u32(value.substr(9)));
  return lock;
}

bool is_file_lock(std::string_view key, std::string_view value) {
  if (key.size() != kKeyBytes || value.size() != kValueBytes) return false;
  auto lock = decode_file_lock(key, value);
  return is_valid(lock) && lock.type() != wire::FileLock::NONE;
}

std::vector<wire::FileLock> blockers(const Records& records, std::uint64_t ino, const wire::FileLock& wanted) {
  std::vector<wire::FileLock> found;
  auto range = keys_with_prefix(file_locks_key(ino, wanted.kind()));
  records.scan(range.from, range.to, [&](std::string_view key, std::string_view value) {
    auto held = decode_file_lock(key, value);
    if (conflict(held, wanted)) found.push_back(std::move(held));
    return found.size() < static_cast<std::size_t>(kBlockersToldMax);
  });
  return found;
}

Outcome set_file_lock(MutableRecords& records, std::uint64_t session, const wire::SetLock& step) {
  auto lock = step.lock();
  lock.set_session(session);
  if (!is_valid(lock)) return refusal(Errc::invalid, "not a lock");
  const auto ino = step.ino();
  std::size_t all = 0;
  bool blocked = false;
  std::vector<LockRange> own;
  for (const auto& held : locks_below(records, file_locks_key(ino, lock.kind()))) {
    ++all;
    if (conflict(held, lock)) blocked = true;
    if (same_owner(held, lock)) own.push_back({held.start(), held.end(), held.type(), held.pid()});
  }
  const bool locks = lock.type() != wire::FileLock::NONE;
  if (blocked || (locks && step.yield() && own.empty())) return refusal(Errc::would_block, "somebody else's lock");
  LockRanges ranges(own);
  ranges.set({lock.start(), lock.end(), lock.type(), lock.pid()});
  if (ranges.all().size() > own.size() && all - own.size() + ranges.all().size() > kFileLocksMax)
    return refusal(Errc::no_locks, "too many locks on one file");
  for (const auto& range : own) records.erase(file_lock_key(ino, lock.kind(), session, lock.owner(), range.start));
  for (const auto& range : ranges.all()) put(records, ino, lock, range);
  note_session(records, ino, session);
  return {};
}

void drop_file_locks_of_session(MutableRecords& records, std::uint64_t session) {
  std::vector<std::uint64_t> inodes;
  auto range = keys_with_prefix(locking_session_key(session));
  records.scan(range.from, range.to, [&](std::string_view key, std::string_view) {
    inodes.push_back(read_u64(key.substr(9)));
    return true;
  });
  for (auto ino : inodes) {
    erase_below(records, file_locks_key(ino, wire::FileLock::RECORD, session));
    erase_below(records, file_locks_key(ino, wire::FileLock::FLOCK, session));
    records.erase(locking_session_key(session, ino));
  }
}

void drop_file_locks_of_inode(MutableRecords& records, std::uint64_t ino) {
  for (auto kind : {wire::FileLock::RECORD, wire::FileLock::FLOCK})
    for (const auto& lock : locks_below(records, file_locks_key(ino, kind))) {
      records.erase(file_lock_key(ino, kind, lock.session(), lock.owner(), lock.start()));
      records.erase(locking_session_key(lock.session(), ino));
    }
}

}  // namespace chordfs::tree
