#include "daemon/ring/ring_state.h"

#include <algorithm>

#include "proto/base/check.h"

namespace chordfs {

std::vector<Position> cut(const Position& self, std::span<const Position> run, int nodes) {
  std::vector<Position> list;
  std::vector<Uuid> others;
  for (const Position& next : run) {
    const Id& last = list.empty() ? self.id : list.back().id;
    if (!between(last, next.id, self.id)) break;
    list.push_back(next);
    if (next.node != self.node && std::ranges::find(others, next.node) == others.end()) others.push_back(next.node);
    if (static_cast<int>(others.size()) == nodes || list.size() == kSuccessorsMax) break;
  }
  return list;
}

std::vector<Position> cut(const Position& self, const View& first, int nodes) {
  std::vector<Position> run{first.self};
  run.insert(run.end(), first.successors.begin(), first.successors.end());
  return cut(self, run, nodes);
}

bool RingState::lists(const Uuid& node) const {
  return std::ranges::any_of(successors(), [&](const Position& p) { return p.node == node; });
}

bool RingState::knows_all() const {
  if (successors().size() == kSuccessorsMax) return false;
  std::vector<Uuid> others;
  for (const Position& p : successors())
    if (p.node != self().node && std::ranges::find(others, p.node) == others.end()) others.push_back(p.node);
  return static_cast<int>(others.size()) < nodes_;
}

void RingState::create(std::vector<Position> ring) {
  CHECK(!member());
  std::ranges::sort(ring, {}, [this](const Position& p) { return p.id - self().id; });
  CHECK(!ring.empty() && ring.front().id == self().id, "{} not in its own ring", self().id.brief());
  view_.successors = cut(self(), std::span(ring).subspan(1), nodes_);
  view_.predecessor = ring.back();
  standing_ = Standing::member;
}

void RingState::join(const Position& predecessor, const View& successor) {
  CHECK(!member());
  view_.successors = cut(self(), successor, nodes_);
  CHECK(!view_.successors.empty(), "{} joined itself", self().id.brief());
  view_.predecessor = predecessor;
  standing_ = Standing::member;
}

bool RingState::replace(std::vector<Position> list) {
  if (list == view_.successors) return false;
  view_.successors = std::move(list);
  return true;
}

bool RingState::drop(const Id& dead) {
  return std::erase_if(view_.successors, [&](const Position& p) { return p.id == dead; }) != 0;
}

bool RingState::from_successor(const View& s) {
  CHECK(s.self.id == successor().id && s.self.id != self().id, "{} is not the successor of {}", s.self.id.brief(),
        self().id.brief());
  return replace(cut(self(), s, nodes_));
}

std::optional<Position> RingState::closer(const Position& successors_predecessor) const {
  if (!between(self().id, successors_predecessor.id, successor().id)) return std::nullopt;
  return successors_predecessor;
}

bool RingState::from_predecessor(const View& p) {
  CHECK(between(self().id, p.self.id, successor().id), "{} does not precede {}", p.self.id.brief(),
        successor().id.brief());
  return replace(cut(self(), p, nodes_));
}

bool RingState::from_elsewhere(const View& found) {
  if (!between(self().id, found.self.id, successor().id)) return false;
  // Zave's list := x · x.succ, but x may come from a smaller ring and know fewer than we do: keep our own entries.
  std::vector<Position> run{found.self};
  for (const auto* list : {&found.successors, &successors()})
    for (const Position& p : *list)
      if (between(found.self.id, p.id, self().id)) run.push_back(p);
  auto distance = [this](const Position& p) { return p.id - self().id; };
  std::ranges::sort(run, {}, distance);
  auto doubles = std::ranges::unique(run, {}, &Position::id);
  run.erase(doubles.begin(), doubles.end());
  return replace(cut(self(), run, nodes_));
}

RingState::Verdict RingState::consider(const Position& candidate) const {
  if (candidate == predecessor()) return Verdict::keep;
  // The same one under a new address, or one that is closer.
  if (candidate.id == predecessor().id || between(predecessor().id, candidate.id, self().id)) return Verdict::adopt;
  return Verdict::adopt_if_predecessor_dead;
}

bool RingState::set_predecessor(const Position& predecessor) {
  if (predecessor == view_.predecessor) return false;
  view_.predecessor = predecessor;
  return true;
}

}  // namespace chordfs
