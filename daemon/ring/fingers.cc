#include "daemon/ring/fingers.h"

#include <algorithm>
#include <iterator>

namespace chordfs {

namespace {

/// The lowest power from `power` on whose target lies beyond `end`.
int beyond(const Id& self, int power, const Id& end) {
  while (power < Id::kBits && owned(self, self.plus_power(power), end)) ++power;
  return power;
}

/// The owner and what follows it, dead ones left out unless nothing else is left.
std::vector<Position> owner_first(std::span<const Position> run, const Usable& alive) {
  std::vector<Position> living;
  std::ranges::copy_if(run, std::back_inserter(living), alive);
  return living.empty() ? std::vector(run.begin(), run.end()) : living;
}

/// The part of its list that begins with the owner, if nobody closer is left to ask: usually because its successor is
/// the owner, else because those between do not answer. They do not own id, dead or slow.
std::optional<std::span<const Position>> claim(const RingState& state, const Id& id, const Usable& worth_asking) {
  if (!state.member()) return std::nullopt;
  std::span<const Position> list = state.successors();
  if (list.empty()) return list;
  auto owner = std::ranges::find_if(list, [&](const Position& p) { return owned(state.self().id, id, p.id); });
  if (owner == list.end() || std::any_of(list.begin(), owner, worth_asking)) return std::nullopt;
  return std::span(owner, list.end());
}

std::optional<FindAnswer> find_owner(const Id& id, std::span<const Table> tables, const Usable& alive,
                                     const Usable& worth_asking) {
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
  std::span<const Position> run;
  for (const Table& table : tables) {
    auto claimed = claim(*table.state, id, worth_asking);
    if (!claimed || (closest && id - table.state->self().id >= id - closest->self().id)) continue;
    closest = table.state;
    run = *claimed;
  }
  if (!closest) return std::nullopt;
  answer.positions = owner_first(run, alive);
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

FindAnswer find(const Id& id, std::span<const Table> tables, const Usable& alive, const Usable& worth_asking) {
  if (auto owner = find_owner(id, tables, alive, worth_asking)) return *std::move(owner);

  // The distinct nodes whose positions precede id most closely. Several of one node would die together.
  std::vector<Position> closest;
  auto offer = [&](const Position& from, const Position& p) {
    if (p.node == from.node || !owned(from.id, p.id, id) || !worth_asking(p)) return;
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
