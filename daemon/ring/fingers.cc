#include "daemon/ring/fingers.h"

#include <algorithm>

namespace chordfs {

namespace {

/// The lowest power from `power` on whose target lies beyond `end`.
int beyond(const Id& self, int power, const Id& end) {
  while (power < Id::kBits && owned(self, self.plus_power(power), end)) ++power;
  return power;
}

/// The owner and what follows it, dead ones left out unless nothing else is left.
std::vector<Position> owner_first(std::vector<Position> run, const std::function<bool(const Position&)>& usable) {
  auto alive = run;
  std::erase_if(alive, [&](const Position& p) { return !usable(p); });
  return alive.empty() ? run : alive;
}

std::optional<FindAnswer> find_owner(const Id& id, std::span<const Table> tables,
                                     const std::function<bool(const Position&)>& usable) {
  FindAnswer answer{.done = true};
  for (const Table& table : tables) {
    if (!table.state->owns(id)) continue;
    answer.positions.push_back(table.state->self());
    const auto& after = table.state->successors();
    answer.positions.insert(answer.positions.end(), after.begin(), after.end());
    return answer;
  }
  // Several may claim it while the ring changes: the closest one knows best.
  const RingState* closest = nullptr;
  for (const Table& table : tables)
    if (table.state->precedes(id) && (!closest || id - table.state->self().id < id - closest->self().id))
      closest = table.state;
  if (!closest) return std::nullopt;
  answer.positions = owner_first(closest->successors(), usable);
  if (answer.positions.empty()) answer.positions.push_back(closest->self());
  return answer;
}

}  // namespace

std::optional<Fingers::Task> Fingers::next(const RingState& state) {
  if (!state.member() || state.knows_all()) {
    rounds_ = std::max(rounds_, 1);
    return std::nullopt;
  }
  const Id& self = state.self().id;
  int first = beyond(self, 0, state.successors().back().id);
  fingers_.erase(fingers_.begin(), fingers_.lower_bound(first));
  if (cursor_ >= Id::kBits || first >= Id::kBits) {
    ++rounds_;
    cursor_ = 0;
  }
  cursor_ = std::max(cursor_, first);
  if (cursor_ >= Id::kBits) return std::nullopt;
  return Task{cursor_, self.plus_power(cursor_)};
}

void Fingers::learnt(const RingState& state, int power, const Position& owner) {
  const Id& self = state.self().id;
  // An owner that is self or before self ends the round: nothing lies between the target and self.
  int end = owner.id == self ? Id::kBits : std::max(power + 1, beyond(self, power, owner.id));
  fingers_.erase(fingers_.lower_bound(power), fingers_.lower_bound(end));
  if (owner.node != state.self().node) fingers_.insert_or_assign(power, owner);
  cursor_ = end;
}

void Fingers::forget(const Uuid& node) {
  std::erase_if(fingers_, [&](const auto& finger) { return finger.second.node == node; });
}

std::vector<Position> Fingers::entries() const {
  std::vector<Position> entries;
  for (const auto& [power, position] : fingers_) entries.push_back(position);
  return entries;
}

FindAnswer find(const Id& id, std::span<const Table> tables, const std::function<bool(const Position&)>& usable) {
  if (auto owner = find_owner(id, tables, usable)) return *std::move(owner);

  // The distinct nodes whose positions precede id most closely. Several of one node would die together.
  std::vector<Position> closest;
  auto offer = [&](const Position& from, const Position& p) {
    if (p.node == from.node || !owned(from.id, p.id, id) || !usable(p)) return;
    closest.push_back(p);
  };
  for (const Table& table : tables) {
    if (!table.state->member()) continue;
    for (const Position& p : table.state->successors()) offer(table.state->self(), p);
    for (const Position& p : table.fingers->entries()) offer(table.state->self(), p);
  }
  std::ranges::sort(closest, {}, [&](const Position& p) { return id - p.id; });
  FindAnswer answer;
  for (const Position& p : closest) {
    bool known = std::ranges::any_of(answer.positions, [&](const Position& q) { return q.node == p.node; });
    if (!known) answer.positions.push_back(p);
    if (answer.positions.size() == kLookupCandidatesPerHop) break;
  }
  return answer;
}

}  // namespace chordfs
