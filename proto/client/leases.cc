#include "proto/client/leases.h"

namespace chordfs {

namespace {
constexpr Duration kPauseAfterFailure = 200ms;
}

std::uint64_t LeaseKeeper::incarnation(ArcNumber arc) const {
  auto held = held_.find(arc);
  if (held == held_.end()) return 0;
  auto node = nodes_.find(held->second.node);
  return node == nodes_.end() ? 0 : node->second.incarnation;
}

std::pair<std::uint64_t, std::uint64_t> LeaseKeeper::granted(ArcNumber arc) const {
  auto found = held_.find(arc);
  return found == held_.end() ? std::pair<std::uint64_t, std::uint64_t>()
                              : std::pair(found->second.lease, found->second.number);
}

std::uint64_t LeaseKeeper::answered(ArcNumber arc, const Endpoint& node, std::uint64_t session,
                                    const wire::QueryAnswer& answer) {
  if (session == 0) return 0;
  auto& held = held_[arc];
  const auto now = runtime_.now();
  held.used = now;
  if (held.node != node) {
    if (auto old = nodes_.find(held.node); old != nodes_.end()) old->second.arcs.erase(arc);
    held = {.node = node, .term = 0, .stamp = 0, .until = {}, .used = now, .lease = 0, .number = 0};
  }
  auto [place, fresh] = nodes_.try_emplace(node);
  auto& state = place->second;
  state.session = session;
  state.arcs.insert(arc);
  if (fresh && !tasks_.stopping()) tasks_.spawn("renew leases", renew(node));
  if (answer.lease() == 0) return 0;
  held.number = answer.lease() == held.lease ? std::max(held.number, answer.lease_number()) : answer.lease_number();
  held.lease = answer.lease();
  const bool known = answer.lease() == state.incarnation && answer.lease_term() == held.term;
  return known && holds(arc, held.stamp) ? held.stamp : 0;
}

bool LeaseKeeper::holds(ArcNumber arc, std::uint64_t stamp) {
  if (stamp == 0) return false;
  auto found = held_.find(arc);
  if (found == held_.end() || found->second.stamp != stamp) return false;
  const auto now = runtime_.now();
  if (now >= found->second.until) return false;
  found->second.used = now;
  return true;
}

void LeaseKeeper::take(NodeState& state, const wire::Leases& leases, Time sent) {
  const bool anew = state.incarnation != leases.incarnation();
  state.incarnation = leases.incarnation();
  const auto now = runtime_.now();
  if (anew)
    for (auto arc : state.arcs) held_[arc].stamp = 0;
  for (const auto& one : leases.held()) {
    if (!state.arcs.contains(one.arc())) continue;
    auto& held = held_[one.arc()];
    // What ran out meanwhile, or was granted by a leader of another term, is not brought back.
    if (held.stamp == 0 || held.term != one.term() || now >= held.until) held.stamp = ++stamps_;
    held.term = one.term();
    held.until = sent + kLeaseFor;
  }
}

awaitable<void> LeaseKeeper::renew(Endpoint node) {
  std::uint64_t done = 0;
  std::vector<std::uint64_t> open;
  for (;;) {
    auto& state = nodes_[node];
    const auto sent = runtime_.now();
    std::erase_if(state.arcs, [&](ArcNumber arc) {
      const auto& held = held_[arc];
      return held.used + kLeaseIdle < sent || held.node != node;
    });
    if (state.arcs.empty() || tasks_.stopping()) break;
    Request request;
    auto& renewal = *request.header.mutable_renew_leases();
    const auto session = state.session;
    renewal.set_session(session);
    renewal.set_incarnation(state.incarnation);
    renewal.set_done(done);
    for (auto arc : state.arcs) renewal.add_arcs(arc);
    for (auto ino : open) renewal.add_open(ino);
    auto reply = co_await hooks_.call(node, std::move(request), kLeaseFor);
    if (!reply || reply->header.error() != 0 || !reply->header.has_leases()) {
      if (reply.code() == Errc::cancelled) break;
      co_await runtime_.sleep(runtime_.jitter(kPauseAfterFailure));
      continue;
    }
    const auto& leases = reply->header.leases();
    std::vector<std::uint64_t> inos(leases.inos().begin(), leases.inos().end());
    if (!inos.empty()) hooks_.recalled(inos);
    take(nodes_[node], leases, sent);
    done = leases.recall();
    open.clear();
    for (auto ino : inos)
      if (hooks_.is_open(ino)) open.push_back(ino);
  }
  nodes_.erase(node);
}

}  // namespace chordfs
