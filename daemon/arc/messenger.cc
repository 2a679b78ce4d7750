#include "daemon/arc/messenger.h"

namespace chordfs {

namespace {
/// Well below the cap of a frame's header.
constexpr std::size_t kFrameBytesMax = 2U << 20;
constexpr std::size_t kNodesMax = 4096;
}  // namespace

void Messenger::add(Raft::Outgoing message) {
  const auto node = message.to.node;
  auto& waiting = waiting_[node];
  waiting.at = address_of(message.to);
  const auto bytes = message.message.ByteSizeLong();
  if (waiting.bytes + bytes > kFrameBytesMax && waiting.bytes > 0) send(node, waiting);
  *waiting.frame.add_messages() = std::move(message.message);
  waiting.bytes += bytes;
}

void Messenger::send(const Uuid& to, Waiting& waiting) {
  *waiting.frame.mutable_from() = self_;
  waiting.frame.set_to(to.bytes());
  waiting.frame.set_leaving(leaving_);
  Request request;
  *request.header.mutable_raft() = std::exchange(waiting.frame, {});
  waiting.bytes = 0;
  if (waiting.at.port != 0) post_(waiting.at, std::move(request));
}

void Messenger::flush() {
  for (auto& [node, waiting] : std::exchange(waiting_, {})) send(node, waiting);
}

void Messenger::heard(const Uuid& node, Endpoint at, bool leaving, Time now) {
  if (nodes_.size() >= kNodesMax && !nodes_.contains(node)) nodes_.clear();
  nodes_[node] = {std::move(at), leaving, now};
}

Endpoint Messenger::address_of(const Replica& replica) const {
  auto known = nodes_.find(replica.node);
  return known == nodes_.end() ? replica.at : known->second.at;
}

bool Messenger::is_leaving(const Uuid& node) const {
  auto known = nodes_.find(node);
  return known != nodes_.end() && known->second.leaving;
}

Time Messenger::last_heard(const Uuid& node) const {
  auto known = nodes_.find(node);
  return known == nodes_.end() ? Time{} : known->second.heard;
}

}  // namespace chordfs
