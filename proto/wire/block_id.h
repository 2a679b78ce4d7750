#pragma once
// What a block's identifier tells: the inode that it was written for, the session that wrote it, and the how many-eth
// of that session it is. Session numbers are never used twice, so neither is an identifier. Pure; any thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/bytes.h"
#include "proto/wire/limits.h"

namespace chordfs {

inline std::string block_id(std::uint64_t ino, std::uint64_t session, std::uint64_t number) {
  std::string id;
  id.reserve(kBlockIdBytes);
  append_u64(id, ino);
  append_u64(id, session);
  append_u64(id, number);
  return id;
}
/// The map that may name it is this inode's. `id`: kBlockIdBytes, as in all of these.
inline std::uint64_t ino_of_block(std::string_view id) {
  return read_u64(id);
}
/// Only this session may name it for the first time.
inline std::uint64_t session_of_block(std::string_view id) {
  return read_u64(id.substr(8));
}

}  // namespace chordfs
