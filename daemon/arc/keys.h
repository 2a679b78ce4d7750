#pragma once
// Keys of everything this node keeps among its ordered records; the table stands in daemon/store/FORMAT.md. Pure.

#include <string>
#include <string_view>

#include "proto/base/bytes.h"
#include "proto/id/id.h"

namespace chordfs::keys {

inline std::string of_arc(char kind, ArcNumber arc) {
  std::string key(1, kind);
  append_u32(key, arc);
  return key;
}
inline std::string of_arc(char kind, ArcNumber arc, std::uint64_t number) {
  auto key = of_arc(kind, arc);
  append_u64(key, number);
  return key;
}
/// The first key after all of this arc's of that kind.
inline std::string end_of_arc(char kind, ArcNumber arc) {
  return of_arc(kind, arc + 1);
}

inline constexpr std::size_t kPrefixBytes = 5;

/// The state machine's record `key`.
inline std::string record(ArcNumber arc, std::string_view key) {
  return of_arc('a', arc).append(key);
}
/// One log entry.
inline std::string log(ArcNumber arc, std::uint64_t index) {
  return of_arc('l', arc, index);
}
/// disk::ArcReplica.
inline std::string replica(ArcNumber arc) {
  return of_arc('m', arc);
}
/// disk::HardState.
inline std::string hard_state(ArcNumber arc) {
  return of_arc('v', arc);
}
/// disk::LogBase.
inline std::string log_base(ArcNumber arc) {
  return of_arc('b', arc);
}
/// Index of the last entry that was applied.
inline std::string applied(ArcNumber arc) {
  return of_arc('p', arc);
}
/// Facts of the node itself: "identity", "ring", "peers".
inline std::string node(std::string_view name) {
  return std::string("n").append(name);
}

}  // namespace chordfs::keys
