#include "daemon/tree/record_format.h"

#include "daemon/tree/file_locks.h"
#include "daemon/tree/keys.h"
#include "proto/base/bytes.h"
#include "proto/wire/block_id.h"
#include "proto/wire/limits.h"
#include "proto/wire/tree.pb.h"

namespace chordfs::tree {

namespace {
constexpr std::size_t kLetter = 1, kNumber = 8, kArc = 4;
constexpr std::size_t kHolder = kArc + kNumber;

template <class Message>
bool is(std::string_view value, Message message = {}) {
  return message.ParseFromArray(value.data(), static_cast<int>(value.size()));
}

bool is_name(std::string_view hash_and_name) {
  if (hash_and_name.size() <= kNumber) return false;
  const auto name = hash_and_name.substr(kNumber);
  return name.size() <= kNameBytesMax && name_hash(name) == read_u64(hash_and_name);
}

bool is_inode(std::uint64_t ino, std::string_view value) {
  wire::Inode inode;
  return inode.ParseFromArray(value.data(), static_cast<int>(value.size())) && inode.attr().ino() == ino;
}

bool is_extent(std::uint64_t ino, std::uint64_t end, std::string_view value) {
  if (value.size() != kNumber + kBlockIdBytes + 12 || ino_of_block(value.substr(kNumber)) != ino) return false;
  const auto length = read_u64(value);
  return length > 0 && length <= end && end <= kFileBytesMax;
}

bool is_coordinated(std::string_view value) {
  if (value.size() < 4) return false;
  const auto size = read_u32(value);
  value.remove_prefix(4);
  return size <= value.size() && is<wire::QueryAnswer::Coordinated>(value.substr(0, size)) &&
         is<wire::Answer>(value.substr(size));
}

bool is_prepared(std::string_view value) {
  if (value.empty() || std::string_view("PCA").find(value[0]) == std::string_view::npos) return false;
  return is<wire::Part>(value.substr(1));
}

bool is_answer(std::string_view value) {
  return !value.empty() && (value[0] == 'A' || value[0] == 'P') && is<wire::Answer>(value.substr(1));
}

bool is_lock(std::string_view key, std::string_view value) {
  if (key == dirmove_lock_key()) return value.size() == kHolder;
  if (key.starts_with("LI")) return key.size() == 2 + kNumber && value.size() == kHolder + 1;
  return key.starts_with("LE") && key.size() > 2 + kNumber && is_name(key.substr(2 + kNumber)) &&
         value.size() == kHolder;
}
}  // namespace

bool is_record(std::string_view key, std::string_view value) {
  if (key.empty()) return false;
  const auto rest = key.size() - kLetter;
  switch (key[0]) {
    case 'I':
      return rest == kNumber && is_inode(number_in(key), value);
    case 'D':
      return rest > kNumber && is_name(key.substr(kLetter + kNumber)) && value.size() == kNumber + 1;
    case 'M':
      return rest == 2 * kNumber && is_extent(number_in(key), extent_end_in(key), value);
    case 'B':
      return rest == kBlockIdBytes && value.size() == 4;
    case 'X':
      return rest == kNumber && value.size() == kBlockIdBytes;
    case 'O':
      return rest == kNumber;
    case 'S':
      return rest == kNumber ? value.size() == kNumber : rest == 2 * kNumber && is_answer(value);
    case 'N':
      return rest == 0 ? value.size() == kNumber : rest == kNumber;
    case 'T':
      return rest == kNumber && is_coordinated(value);
    case 'R':
      return rest == kArc + kNumber && is_prepared(value);
    case 'L':
      return is_lock(key, value);
    case 'F':
      return is_file_lock(key, value);
    case 'G':
      return rest == 2 * kNumber && value.empty();
    case 'V':
      return rest == 2 * kNumber && value.empty();
    case 'W':
      return rest == kArc && value.size() == kNumber;
    case 'U':
      return rest == 0 && value.size() == 5 * kNumber;
    default:
      return false;
  }
}

}  // namespace chordfs::tree
