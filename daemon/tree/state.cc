#include "daemon/tree/state.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "daemon/tree/keys.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

namespace chordfs::tree {

Usage load_usage(const Records& records) {
  auto value = records.get(usage_key());
  if (!value) return {};
  CHECK(value->size() == 40, "{} bytes", value->size());
  std::string_view in = *value;
  return {read_u64(in), read_u64(in.substr(8)), read_u64(in.substr(16)), read_u64(in.substr(24)),
          read_u64(in.substr(32))};
}

namespace {
std::string encode(const Usage& usage) {
  std::string value;
  for (auto number : {usage.inodes, usage.bytes, usage.outbox, usage.orphans, usage.outbox_next})
    append_u64(value, number);
  return value;
}
}  // namespace

Entry decode_entry(std::string_view value) {
  CHECK(value.size() == 9, "{} bytes", value.size());
  return {read_u64(value), static_cast<wire::FileType>(value[8])};
}

bool load_inode(const Records& records, std::uint64_t ino, wire::Inode& inode) {
  auto value = records.get(inode_key(ino));
  if (!value) return false;
  CHECK(inode.ParseFromString(*value), "inode {:x}", ino);
  return true;
}

std::string serialize(const google::protobuf::MessageLite& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    CHECK(message.SerializeToCodedStream(&out));
  }
  return bytes;
}

State::State(const Place& place, const Records& records, std::int64_t now)
    : place_(place), now_(now), overlay_(records), usage_(load_usage(records)), usage_before_(usage_) {}

wire::Inode* State::inode(std::uint64_t ino) {
  auto [at, is_new] = inodes_.try_emplace(ino);
  auto& cached = at->second;
  if (is_new) cached.present = load_inode(overlay_, ino, cached.inode);
  return cached.present ? &cached.inode : nullptr;
}

void State::create_inode(wire::Inode inode) {
  auto& cached = inodes_[inode.attr().ino()];
  CHECK(!cached.present, "inode {:x}", inode.attr().ino());
  cached = {.present = true, .dirty = true, .inode = std::move(inode)};
  ++usage_.inodes;
  usage_.bytes += cached.inode.attr().allocated();
}

void State::erase_inode(std::uint64_t ino) {
  auto& cached = inodes_[ino];
  CHECK(cached.present, "inode {:x}", ino);
  --usage_.inodes;
  usage_.bytes -= cached.inode.attr().allocated();
  cached = {};
  overlay_.erase(inode_key(ino));
}

void State::changed(wire::Inode& inode) {
  auto* attr = inode.mutable_attr();
  attr->set_version(attr->version() + 1);
  inodes_.at(attr->ino()).dirty = true;
}

void State::set_writer(wire::Inode& inode, std::uint64_t session) {
  auto* attr = inode.mutable_attr();
  if (attr->writer() != session) {
    if (attr->writer() != 0) overlay_.erase(writing_session_key(attr->writer(), attr->ino()));
    if (session != 0) overlay_.put(writing_session_key(session, attr->ino()), {});
  }
  attr->set_writer(session);
  attr->set_written_as(session == 0 ? 0 : attr->version());
  inodes_.at(attr->ino()).dirty = true;
}

void State::allocate(wire::Inode& inode, std::int64_t bytes) {
  auto* attr = inode.mutable_attr();
  attr->set_allocated(attr->allocated() + static_cast<std::uint64_t>(bytes));
  usage_.bytes += static_cast<std::uint64_t>(bytes);
}

bool State::entry(std::uint64_t dir, std::string_view name, Entry& found) const {
  auto value = overlay_.get(entry_key(dir, name));
  if (!value) return false;
  found = decode_entry(*value);
  return true;
}

void State::put_entry(std::uint64_t dir, std::string_view name, const Entry& entry) {
  std::string value;
  append_u64(value, entry.ino);
  value.push_back(static_cast<char>(entry.type));
  overlay_.put(entry_key(dir, name), std::move(value));
}

void State::erase_entry(std::uint64_t dir, std::string_view name) {
  overlay_.erase(entry_key(dir, name));
}

bool State::has_entries(std::uint64_t dir) const {
  bool found = false;
  auto range = entry_keys(dir);
  overlay_.scan(range.from, range.to, [&](std::string_view, std::string_view) {
    found = true;
    return false;
  });
  return found;
}

bool State::is_orphan(std::uint64_t ino) const {
  return overlay_.get(orphan_key(ino)).has_value();
}

void State::add_orphan(std::uint64_t ino) {
  overlay_.put(orphan_key(ino), "");
  ++usage_.orphans;
}

void State::erase_orphan(std::uint64_t ino) {
  overlay_.erase(orphan_key(ino));
  --usage_.orphans;
}

void State::discard_block(std::string_view block) {
  overlay_.put(outbox_key(usage_.outbox_next++), std::string(block));
  ++usage_.outbox;
}

void State::clear_outbox(std::uint64_t seq) {
  auto key = outbox_key(seq);
  if (!overlay_.get(key)) return;
  overlay_.erase(key);
  --usage_.outbox;
}

void State::commit(MutableRecords& records) && {
  for (auto& [ino, cached] : inodes_)
    if (cached.present && cached.dirty) overlay_.put(inode_key(ino), serialize(cached.inode));
  if (usage_ != usage_before_) overlay_.put(usage_key(), encode(usage_));
  std::move(overlay_).write_to(records);
}

}  // namespace chordfs::tree
