#pragma once
// Nodes: what the nodes of a ring say of themselves, as `ring` and `watch` show it. The first half is pure.
// Thread: main's.

#include <boost/json/object.hpp>
#include <set>
#include <string>
#include <vector>

#include "proto/client/ring_client.h"

namespace chordfs::cli {

struct NodeRow {
  char letter = '?';
  std::string node;  ///< Its identity in hexadecimal.
  Endpoint at;
  std::string version, state;
  struct Point {
    std::uint32_t index = 0;
    Id id;
    double share = 0;  ///< Of the circle that it owns; 0 if it does not know its predecessor.
  };
  std::vector<Point> positions;
  std::size_t arcs = 0, copies = 0, arcs_moving = 0;  ///< That it leads; that it votes in; being filled or leaving.
  std::uint64_t blocks = 0, inodes = 0, file_bytes = 0, store_bytes = 0, free_bytes = 0;

  double share() const;
  friend bool operator==(const NodeRow& a, const NodeRow& b) { return a.node == b.node; }
};

struct RingView {
  Uuid ring;
  ArcMap arcs;
  std::vector<NodeRow> nodes;  ///< By host and port; lettered in this order.
  std::set<ArcNumber> led;     ///< By somebody.

  std::size_t arcs_served() const { return led.size(); }
};

RingView view_of(const Uuid& ring, const ArcMap& arcs, const std::vector<wire::Status>& statuses);
/// "ring 1f2e3d4c: 3 nodes, 256 of 256 arcs served"
std::string headline(const RingView& view);
/// A line of titles and a line a node.
std::string table(const RingView& view);
std::string drawing(const RingView& view, int radius);
boost::json::object to_json(const RingView& view);
/// What has changed, a line each: who came, went, leaves, and whose arcs changed in number.
std::vector<std::string> changes(const RingView& before, const RingView& after);

/// Asks every node.
awaitable<Result<RingView>> look(RingClient& client);
/// Why `typed` cannot mean a node; empty if it can. Asks nobody: a check of the command line.
std::string wrong_node(const std::string& typed);
/// Where the node listens that a person means: PORT, HOST:PORT, or the first digits of its identity as `ring` shows it.
awaitable<Result<Endpoint>> find_node(RingClient& client, std::string typed);
awaitable<Result<wire::Status>> ask_status(RingClient& client, Endpoint node, wire::StatusRequest request);

}  // namespace chordfs::cli
