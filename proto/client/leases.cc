#include "proto/client/leases.h"

#include <algorithm>
#include <tuple>

#include "proto/client/client.h"

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

std::uint64_t LeaseKeeper::answered(ArcNumber arc, const Endpoint& node, std::uint64_t session, Grant grant) {
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
  if (grant.lease == 0) return 0;
  held.number = grant.lease == held.lease ? std::max(held.number, grant.number) : grant.number;
  held.lease = grant.lease;
  const bool known = grant.lease == state.incarnation && grant.term == held.term;
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

std::uint64_t LeaseKeeper::stamp(ArcNumber arc) {
  auto found = held_.find(arc);
  return found != held_.end() && holds(arc, found->second.stamp) ? found->second.stamp : 0;
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

Request LeaseKeeper::request_to(const NodeState& state) const {
  Request request;
  auto& renewal = *request.header.mutable_renew_leases();
  renewal.set_session(state.session);
  renewal.set_incarnation(state.incarnation);
  renewal.set_told(state.told);
  for (const auto& [number, ino] : state.done) {
    renewal.add_done(number);
    if (hooks_.is_open(ino)) renewal.add_open(ino);
  }
  return request;
}

void LeaseKeeper::hear_of_recalls(const Endpoint& node, const wire::Leases& leases) {
  auto& state = nodes_[node];
  if (state.incarnation != leases.incarnation()) {
    state.told = 0;
    state.done.clear();
  }
  // What it does not name any more it has heard.
  const std::set<std::uint64_t> named(leases.numbers().begin(), leases.numbers().end());
  std::erase_if(state.done, [&](const auto& one) { return !named.contains(one.first); });
  for (int i = 0; i < std::min(leases.inos_size(), leases.numbers_size()); ++i) {
    const auto number = leases.numbers(i), ino = leases.inos(i);
    if (number <= state.told) continue;
    const bool writing = i < leases.writing_size() && leases.writing(i);
    if (hooks_.holder->recalled(ino, writing))
      state.done.emplace(number, ino);
    else if (!tasks_.stopping())
      tasks_.spawn("give a lease back", give_back(node, leases.incarnation(), number, ino, writing));
  }
  state.told = std::max(state.told, leases.recall());
}

/// Said at once, beside the renewal that is under way, for somebody waits; and again with those that follow.
awaitable<void> LeaseKeeper::give_back(Endpoint node, std::uint64_t incarnation, std::uint64_t number,
                                       std::uint64_t ino, bool writing) {
  co_await hooks_.holder->give_back(ino, writing);
  auto state = nodes_.find(node);
  if (state == nodes_.end() || state->second.incarnation != incarnation) co_return;
  state->second.done.emplace(number, ino);
  std::ignore = co_await hooks_.call(node, request_to(state->second), kLeaseFor);
}

awaitable<void> LeaseKeeper::renew(Endpoint node) {
  for (;;) {
    auto& state = nodes_[node];
    const auto sent = runtime_.now();
    std::erase_if(state.arcs, [&](ArcNumber arc) {
      const auto& held = held_[arc];
      return held.used + kLeaseIdle < sent || held.node != node;
    });
    if (state.arcs.empty() || tasks_.stopping()) break;
    auto request = request_to(state);
    for (auto arc : state.arcs) request.header.mutable_renew_leases()->add_arcs(arc);
    auto reply = co_await hooks_.call(node, std::move(request), kLeaseFor);
    if (!reply || reply->header.error() != 0 || !reply->header.has_leases()) {
      if (reply.code() == Errc::cancelled) break;
      co_await runtime_.sleep(runtime_.jitter(kPauseAfterFailure));
      continue;
    }
    const auto& leases = reply->header.leases();
    hear_of_recalls(node, leases);
    take(nodes_[node], leases, sent);
  }
  nodes_.erase(node);
}

}  // namespace chordfs
