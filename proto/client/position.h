#pragma once
// Position: one point of a node on the circle, and its form on the wire. Pure; any thread.

#include "proto/id/id.h"
#include "proto/rpc/transport.h"

namespace chordfs {

/// Positions of one node; a higher index from the wire is refused.
inline constexpr std::uint32_t kPositionsMax = 16;

/// One point of a node on the circle, and where that node listens. `id` always is position_id(node, index).
struct Position {
  Id id;
  Uuid node;
  std::uint32_t index = 0;
  Endpoint at;
  friend bool operator==(const Position&, const Position&) = default;
};

/// From the wire: false if anything is missing or over its cap.
bool parse(const wire::Peer& from, Uuid& node, Endpoint& at);
bool parse(const wire::Position& from, Position& to);
wire::Peer to_peer(const Uuid& node, const Endpoint& at);
wire::Position to_wire(const Position& position);

}  // namespace chordfs
