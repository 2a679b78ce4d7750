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

std::vector<Peers::Peer> Peers::latest(std::size_t most, Time now) const {
  std::vector<const std::pair<const Uuid, Entry>*> order;
  order.reserve(peers_.size());
  for (const auto& peer : peers_)
    if (!suspected(peer.first, now)) order.push_back(&peer);
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(most, order.size()));
  std::ranges::partial_sort(order, end, std::greater(), [](const auto* peer) { return peer->second.heard; });
  std::vector<Peer> list;
  for (auto peer = order.begin(); peer != end; ++peer) list.push_back({(*peer)->first, (*peer)->second.at});
  return list;
}

void Peers::clear_old_suspicions(Time now) {
  std::erase_if(suspects_, [now](const auto& suspect) { return suspect.second <= now; });
}

}  // namespace chordfs
