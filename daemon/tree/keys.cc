#include "daemon/tree/keys.h"

#include <algorithm>

#include "proto/base/bytes.h"
#include "proto/id/id.h"

namespace chordfs::tree {

namespace {
std::string key_of(std::string_view letters, std::uint64_t number) {
  std::string key(letters);
  append_u64(key, number);
  return key;
}

std::string key_of(std::string_view letters, std::uint64_t number, std::uint64_t second) {
  std::string key = key_of(letters, number);
  append_u64(key, second);
  return key;
}

std::string key_of(std::string_view letters, std::uint64_t dir, std::string_view name) {
  std::string key = key_of(letters, dir, name_hash(name));
  key.append(name);
  return key;
}
}  // namespace

KeyRange keys_with_prefix(std::string prefix) {
  std::string end = prefix;
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) ++end.back();
  return {std::move(prefix), std::move(end)};
}

std::uint64_t name_hash(std::string_view name) {
  return std::min(Id::hash(name).top() >> 1, kNameHashMax);
}

std::string inode_key(std::uint64_t ino) {
  return key_of("I", ino);
}
std::string entry_key(std::uint64_t dir, std::string_view name) {
  return key_of("D", dir, name);
}
std::string entry_key_from(std::uint64_t dir, std::uint64_t hash) {
  return key_of("D", dir, hash);
}
KeyRange entry_keys(std::uint64_t dir) {
  return keys_with_prefix(key_of("D", dir));
}
std::string extent_key(std::uint64_t ino, std::uint64_t end) {
  return key_of("M", ino, end);
}
std::string block_key(std::string_view block) {
  return std::string("B").append(block);
}
std::string outbox_key(std::uint64_t seq) {
  return key_of("X", seq);
}
std::string orphan_key(std::uint64_t ino) {
  return key_of("O", ino);
}
std::string session_key(std::uint64_t session) {
  return key_of("S", session);
}
std::string answer_key(std::uint64_t session, std::uint64_t seq) {
  return key_of("S", session, seq);
}
std::string open_session_key(std::uint64_t session) {
  return key_of("N", session);
}
std::string session_counter_key() {
  return "N";
}
std::string coordinated_key(std::uint64_t index) {
  return key_of("T", index);
}
std::string prepared_key(std::uint32_t arc, std::uint64_t index) {
  std::string key = "R";
  append_u32(key, arc);
  append_u64(key, index);
  return key;
}
std::string entry_lock_key(std::uint64_t dir, std::string_view name) {
  return key_of("LE", dir, name);
}
std::string entry_lock_key_from(std::uint64_t dir, std::uint64_t hash) {
  return key_of("LE", dir, hash);
}
KeyRange entry_lock_keys(std::uint64_t dir) {
  return keys_with_prefix(key_of("LE", dir));
}
std::string inode_lock_key(std::uint64_t ino) {
  return key_of("LI", ino);
}
std::string dirmove_lock_key() {
  return "LD";
}
std::string file_locks_key(std::uint64_t ino, int kind) {
  auto key = key_of("F", ino);
  key.push_back(static_cast<char>(kind));
  return key;
}
std::string file_locks_key(std::uint64_t ino, int kind, std::uint64_t session) {
  auto key = file_locks_key(ino, kind);
  append_u64(key, session);
  return key;
}
std::string file_lock_key(std::uint64_t ino, int kind, std::uint64_t session, std::uint64_t owner,
                          std::uint64_t start) {
  auto key = file_locks_key(ino, kind, session);
  append_u64(key, owner);
  append_u64(key, start);
  return key;
}
std::string locking_session_key(std::uint64_t session, std::uint64_t ino) {
  return key_of("G", session, ino);
}
std::string locking_session_key(std::uint64_t session) {
  return key_of("G", session);
}
std::string writing_session_key(std::uint64_t session, std::uint64_t ino) {
  return key_of("V", session, ino);
}
std::string writing_session_key(std::uint64_t session) {
  return key_of("V", session);
}
std::string low_water_key(std::uint32_t arc) {
  std::string key = "W";
  append_u32(key, arc);
  return key;
}
std::string usage_key() {
  return "U";
}

std::uint64_t number_in(std::string_view key) {
  return read_u64(key.substr(1));
}
EntryName entry_name_in(std::string_view key) {
  return {read_u64(key.substr(9)), key.substr(17)};
}
std::uint64_t extent_end_in(std::string_view key) {
  return read_u64(key.substr(9));
}

}  // namespace chordfs::tree
