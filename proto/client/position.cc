#include "proto/client/position.h"

#include <limits>

#include "proto/wire/limits.h"

namespace chordfs {

bool parse(const wire::Peer& from, Uuid& node, Endpoint& at) {
  constexpr std::uint32_t kPortMax = std::numeric_limits<std::uint16_t>::max();
  if (!Uuid::parse(from.node(), node) || node.empty()) return false;
  if (from.host().empty() || from.host().size() > kNameBytesMax) return false;
  if (from.port() == 0 || from.port() > kPortMax) return false;
  at = {from.host(), static_cast<std::uint16_t>(from.port())};
  return true;
}

bool parse(const wire::Position& from, Position& to) {
  if (from.index() >= kPositionsMax || !parse(from.peer(), to.node, to.at)) return false;
  to.index = from.index();
  to.id = position_id(to.node, to.index);
  return true;
}

wire::Peer to_peer(const Uuid& node, const Endpoint& at) {
  wire::Peer peer;
  peer.set_node(node.bytes());
  peer.set_host(at.host);
  peer.set_port(at.port);
  return peer;
}

wire::Position to_wire(const Position& position) {
  wire::Position wire;
  *wire.mutable_peer() = to_peer(position.node, position.at);
  wire.set_index(position.index);
  return wire;
}

}  // namespace chordfs
