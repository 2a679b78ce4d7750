#include "proto/client/locations.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace chordfs {

namespace {
constexpr int kPrecedingSteps = 16;  // Neighbours of one node are rare: so many steps find enough others.
}

void Locations::learn(const Id& id, std::span<const Position> run) {
  if (run.empty() || limit_ == 0) return;
  const Position& owner = run.front();
  Id after = id - Id().plus_power(0);
  if (auto known = entries_.find(owner.id); known != entries_.end() && owned(known->second.after, id, owner.id))
    after = known->second.after;
  put(owner, after);
  clear_between(after, owner.id);
  for (std::size_t i = 1; i < run.size(); ++i) {
    if (!between(run[i - 1].id, run[i].id, owner.id)) return;  // Out of order, or round: the rest says nothing.
    clear_between(run[i - 1].id, run[i].id);
    put(run[i], run[i - 1].id);
  }
}

void Locations::put(const Position& position, const Id& after) {
  auto known = entries_.find(position.id);
  if (known == entries_.end()) {
    make_room();
    entries_.emplace(position.id, Entry{position, after});
  } else {
    known->second.position = position;
    known->second.after = after;
  }
}

void Locations::clear_between(const Id& after, const Id& before) {
  while (!entries_.empty()) {
    auto next = entries_.upper_bound(after);
    if (next == entries_.end()) next = entries_.begin();
    if (!between(after, next->first, before)) return;
    entries_.erase(next);
  }
}

void Locations::make_room() {
  while (entries_.size() >= limit_) {
    auto at = entries_.upper_bound(hand_);
    if (at == entries_.end()) at = entries_.begin();
    hand_ = at->first;
    if (!std::exchange(at->second.used, false)) entries_.erase(at);
  }
}

std::optional<Position> Locations::owner(const Id& id) {
  if (entries_.empty()) return std::nullopt;
  auto at = entries_.lower_bound(id);
  if (at == entries_.end()) at = entries_.begin();
  if (!owned(at->second.after, id, at->first)) return std::nullopt;
  at->second.used = true;
  return at->second.position;
}

std::vector<Position> Locations::preceding(const Id& id, std::size_t count) const {
  std::vector<Position> found;
  auto at = entries_.lower_bound(id);
  for (int step = 0; step < kPrecedingSteps && !entries_.empty() && found.size() < count; ++step) {
    if (at == entries_.begin()) at = entries_.end();
    const Position& position = (--at)->second.position;
    bool known = std::ranges::any_of(found, [&](const Position& p) { return p.node == position.node; });
    if (!known) found.push_back(position);
  }
  return found;
}

std::size_t Locations::drop_wrong(const Id& id, const Position& position) {
  auto known = owner(id);
  return known && known->id == position.id ? drop(position.id) : 0;
}

std::size_t Locations::drop(const Id& position) {
  return entries_.erase(position);
}

std::size_t Locations::forget(const Uuid& node) {
  return std::erase_if(entries_, [&](const auto& entry) { return entry.second.position.node == node; });
}

std::size_t Locations::forget(const Endpoint& node) {
  return std::erase_if(entries_, [&](const auto& entry) { return entry.second.position.at == node; });
}

}  // namespace chordfs
