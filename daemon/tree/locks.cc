#include "daemon/tree/locks.h"

#include <string>

#include "daemon/tree/keys.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

namespace chordfs::tree {

namespace {
// Value of a lock: arc (4), index (8); of an inode's lock one byte more: removes.
constexpr std::size_t kHolderBytes = 12;

std::string encode(const wire::TxId& holder) {
  std::string value;
  append_u32(value, holder.arc());
  append_u64(value, holder.index());
  return value;
}

wire::TxId decode(std::string_view value) {
  CHECK(value.size() >= kHolderBytes, "{} bytes", value.size());
  wire::TxId holder;
  holder.set_arc(read_u32(value));
  holder.set_index(read_u64(value.substr(4)));
  return holder;
}

std::optional<wire::TxId> holder_of(const Records& records, std::string_view key) {
  if (auto value = records.get(key)) return decode(*value);
  return std::nullopt;
}

std::optional<wire::TxId> first_holder(const Records& records, const KeyRange& range) {
  std::optional<wire::TxId> holder;
  records.scan(range.from, range.to, [&](std::string_view, std::string_view value) {
    holder = decode(value);
    return false;
  });
  return holder;
}

/// The inode that a step locks; 0 if none.
std::uint64_t locked_ino(const wire::Step& step) {
  switch (step.kind_case()) {
    case wire::Step::kCreate:
      return step.create().inode().attr().ino();
    case wire::Step::kLink:
      return step.link().ino();
    case wire::Step::kUnlink:
      return step.unlink().ino();
    case wire::Step::kMoved:
      return step.moved().ino();
    default:
      return 0;
  }
}

/// The key of what a step locks; empty if nothing.
std::string lock_key(const wire::Step& step) {
  switch (step.kind_case()) {
    case wire::Step::kInsert:
      return entry_lock_key(step.insert().dir(), step.insert().name());
    case wire::Step::kRemove:
      return entry_lock_key(step.remove().dir(), step.remove().name());
    case wire::Step::kDirmove:
      return dirmove_lock_key();
    default:
      return locked_ino(step) == 0 ? std::string() : inode_lock_key(locked_ino(step));
  }
}
}  // namespace

std::optional<wire::TxId> entry_lock(const Records& records, std::uint64_t dir, std::string_view name) {
  return holder_of(records, entry_lock_key(dir, name));
}

std::optional<wire::TxId> entry_lock_within(const Records& records, std::uint64_t dir, std::uint64_t from,
                                            std::uint64_t to) {
  return first_holder(records, {entry_lock_key_from(dir, from), entry_lock_key_from(dir, to + 1)});
}

std::optional<InodeLock> inode_lock(const Records& records, std::uint64_t ino) {
  auto value = records.get(inode_lock_key(ino));
  if (!value) return std::nullopt;
  return InodeLock{decode(*value), value->size() > kHolderBytes && (*value)[kHolderBytes] != 0};
}

std::optional<wire::TxId> dirmove_lock(const Records& records) {
  return holder_of(records, dirmove_lock_key());
}

std::optional<wire::TxId> changer(const Records& records, const wire::Attr& attr) {
  if (auto lock = inode_lock(records, attr.ino())) return lock->holder;
  if (attr.type() != wire::FILE_DIRECTORY) return std::nullopt;
  return entry_lock_within(records, attr.ino(), 0, kNameHashMax);
}

void take_locks(MutableRecords& records, const wire::TxId& holder, const Steps& steps) {
  for (const auto& step : steps) {
    auto key = lock_key(step);
    if (key.empty()) continue;
    auto value = encode(holder);
    if (locked_ino(step) != 0) {
      auto before = inode_lock(records, locked_ino(step));
      value.push_back(step.has_unlink() || (before && before->removes) ? 1 : 0);
    }
    records.put(key, std::move(value));
  }
}

void release_locks(MutableRecords& records, const Steps& steps) {
  for (const auto& step : steps)
    if (auto key = lock_key(step); !key.empty()) records.erase(key);
}

}  // namespace chordfs::tree
