#include "tools/sim/experiments/static_ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "proto/base/check.h"
#include "proto/rpc/endpoint.h"
#include "tools/sim/rng.h"

namespace chordfs {

namespace {
constexpr std::uint16_t kPort = 4100;
}

Uuid StaticRing::identity(std::uint64_t seed, Index index) {
  auto rng = Rng::derived(seed, "identity", index);
  const std::uint64_t high = rng.next();
  return Uuid(high, rng.next());
}

Endpoint StaticRing::endpoint(Index index) {
  return {fmt::format("10.{}.{}.{}", index >> 16, index >> 8 & 255, index & 255), kPort};
}

StaticRing::StaticRing(const StaticRingOptions& options)
    : successor_nodes_(options.successor_nodes), nodes_(options.nodes), alive_(options.nodes, true) {
  CHECK(options.nodes > 0 && options.positions > 0);
  for (Index i = 0; i < nodes_.size(); ++i) {
    auto& node = nodes_[i];
    const Uuid uuid = identity(options.seed, i);
    node.at = endpoint(i);
    indices_.emplace(node.at.host, i);
    for (std::uint32_t p = 0; p < static_cast<std::uint32_t>(options.positions); ++p) {
      const Position position{position_id(uuid, p), uuid, p, node.at};
      positions_.push_back(position);
      node.slots.push_back({RingState(position, successor_nodes_), {}});
    }
  }
  std::ranges::sort(positions_, {}, &Position::id);
  for (std::size_t rank = 0; rank < positions_.size(); ++rank) settle(rank);
  for (auto& node : nodes_)
    for (const auto& slot : node.slots) node.tables.push_back({&slot.state, &slot.fingers});
}

/// As far as its list can reach, and its predecessor; then its fingers, as Ring::refresh_fingers fills a new table.
void StaticRing::settle(std::size_t rank) {
  const auto& self = positions_[rank];
  auto& slot = nodes_[index_of(self.at)].slots[self.index];
  std::vector<Position> run{self};
  std::set<Uuid> others;
  for (std::size_t i = 1; i < positions_.size() && run.size() <= kSuccessorsMax; ++i) {
    const auto& next = positions_[(rank + i) % positions_.size()];
    run.push_back(next);
    if (next.node != self.node) others.insert(next.node);
    if (static_cast<int>(others.size()) == successor_nodes_) break;
  }
  const auto& before = positions_[(rank + positions_.size() - 1) % positions_.size()];
  if (run.size() < positions_.size()) run.push_back(before);
  slot.state.create(std::move(run));
  for (auto task = slot.fingers.next(slot.state); task && slot.fingers.rounds() == 0;
       task = slot.fingers.next(slot.state))
    slot.fingers.learnt(slot.state, task->power, positions_[owner(task->target)]);
}

std::size_t StaticRing::owner(const Id& key) const {
  auto at = std::ranges::lower_bound(positions_, key, {}, &Position::id);
  return at == positions_.end() ? 0 : static_cast<std::size_t>(at - positions_.begin());
}

FindAnswer StaticRing::answer(Index index, const Id& key, std::span<const Endpoint> silent) const {
  // Nobody is suspected: nobody has asked anybody since the dead died.
  auto alive = [](const Position&) { return true; };
  if (silent.empty()) return find(key, tables(index), alive);
  const auto worth_asking = [&](const Position& p) { return std::ranges::find(silent, p.at) == silent.end(); };
  return find(key, tables(index), alive, worth_asking);
}

awaitable<Result<Reply>> StaticTransport::call(Endpoint to, Request request, Duration timeout) {
  const auto index = ring_.index_of(to);
  if (!ring_.alive(index)) {
    if (round_trip_) co_await runtime_.sleep(timeout);
    co_return Error{Errc::timed_out, to.text()};
  }
  if (round_trip_) co_await runtime_.sleep(round_trip_(index));
  Id key;
  CHECK(request.header.has_find() && Id::parse(request.header.find().id(), key));
  std::vector<Endpoint> silent;
  for (const auto& peer : request.header.find().silent()) silent.push_back(endpoint_of(peer));
  auto found = ring_.answer(index, key, silent);
  Reply reply;
  reply.header.mutable_find()->set_done(found.done);
  for (const Position& p : found.positions) *reply.header.mutable_find()->add_positions() = to_wire(p);
  co_return reply;
}

awaitable<StaticRoute> look_up(StaticLookup lookup, StaticRing::Index from, Id key) {
  const StaticRing& ring = lookup.ring;
  auto local = ring.answer(from, key, {});
  if (local.done) co_return StaticRoute{.found = std::move(local.positions)};
  Lookup production(lookup.runtime, lookup.transport, lookup.asks,
                    {.ring = {}, .locations = lookup.locations, .patience = lookup.patience}, key);
  production.candidates().exclude(ring.at(from));
  for (const Position& p : local.positions) production.candidates().offer(p, ring.at(from));
  const Time began = lookup.runtime.now();
  auto found = co_await production.run();
  StaticRoute route{.asked = production.hops(), .took = lookup.runtime.now() - began};
  if (found) route.found = *std::move(found);
  co_return route;
}

std::size_t StaticRoute::answered() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(asked, [](const Hop& hop) { return hop.outcome == "next" || hop.outcome == "owner"; }));
}

}  // namespace chordfs
