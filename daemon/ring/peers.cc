#include "daemon/ring/peers.h"

#include <algorithm>

namespace chordfs {

void Peers::met(const Uuid& node, const Endpoint& at) {
  if (node == self_) return;
  suspects_.erase(node);
  if (peers_.size() >= kPeersMax && !peers_.contains(node))
    peers_.erase(std::ranges::min_element(peers_, {}, [](const auto& peer) { return peer.second.heard; }));
  peers_[node] = {at, ++clock_};
}

void Peers::heard_of(const Uuid& node, const Endpoint& at) {
  if (node == self_ || peers_.size() >= kPeersMax || peers_.contains(node)) return;
  peers_[node] = {at, ++clock_};
}

void Peers::forget(const Uuid& node) {
  peers_.erase(node);
}

std::vector<Peers::Peer> Peers::list() const {
  std::vector<std::pair<std::uint64_t, Peer>> order;
  for (const auto& [node, entry] : peers_) order.push_back({entry.heard, {node, entry.at}});
  std::ranges::sort(order, std::greater(), [](const auto& item) { return item.first; });
  std::vector<Peer> list;
  for (auto& [heard, peer] : order) list.push_back(std::move(peer));
  return list;
}

void Peers::clear_old_suspicions(Time now) {
  std::erase_if(suspects_, [now](const auto& suspect) { return suspect.second <= now; });
}

}  // namespace chordfs
