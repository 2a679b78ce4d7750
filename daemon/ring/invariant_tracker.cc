#include "daemon/ring/invariant_tracker.h"

#include <fmt/format.h>

#include <algorithm>

#include "proto/base/check.h"

namespace chordfs {

void InvariantTracker::member(const View& view) {
  const Id& id = view.self.id;
  auto [at, joined] = live_.try_emplace(id);
  Member& member = at->second;
  if (joined) {
    member.returned = away_.contains(id);
    member.skips = gaps_over(id);
    touched_.push_back(id);
    if (auto lists = listed_by_.find(id); lists != listed_by_.end())
      for (List* list : lists->second) set_live(*list, +1);
    // Empty lists skip every other member, this one too, and count only while theirs is live.
    if (!lonely_.empty()) all_touched_ = true;
  } else {
    if (member.list.view == view) return;
    remove(member.list);
  }
  member.list.view = view;
  add(member.list);
  malformed_ -= member.malformed;
  member.malformed = !check_structure(view, successor_nodes_).empty();
  malformed_ += member.malformed;
}

void InvariantTracker::gone(const Id& position) {
  auto found = live_.find(position);
  if (found == live_.end()) return;
  remove(found->second.list);
  malformed_ -= found->second.malformed;
  if (found->second.principal)
    if (const Uuid& node = found->second.list.view.self.node; --principals_[node] == 0) principals_.erase(node);
  live_.erase(found);
  away_.insert(position);
  if (auto lists = listed_by_.find(position); lists != listed_by_.end())
    for (List* list : lists->second) set_live(*list, -1);
  if (!lonely_.empty()) all_touched_ = true;
}

void InvariantTracker::carry(Carried number, const View& view) {
  auto [at, fresh] = carried_.try_emplace(number);
  CHECK(fresh, "list {} is carried already", number);
  at->second.view = view;
  add(at->second);
}

void InvariantTracker::drop(Carried number) {
  auto found = carried_.find(number);
  if (found == carried_.end()) return;
  remove(found->second);
  carried_.erase(found);
}

void InvariantTracker::add(List& list) {
  list.live = 0;
  for (const Position& p : list.view.successors) {
    listed_by_[p.id].push_back(&list);
    list.live += live_.contains(p.id);
  }
  stranded_ += stranded(list);
  skip(list.view, +1);
}

void InvariantTracker::remove(const List& list) {
  stranded_ -= stranded(list);
  skip(list.view, -1);
  for (const Position& p : list.view.successors) {
    auto lists = listed_by_.find(p.id);
    lists->second.erase(std::ranges::find(lists->second, &list));
    if (lists->second.empty()) listed_by_.erase(lists);
  }
}

void InvariantTracker::set_live(List& list, int by) {
  stranded_ -= stranded(list);
  list.live += by;
  stranded_ += stranded(list);
}

void InvariantTracker::skip(const View& view, int by) {
  if (view.successors.empty()) {
    if ((lonely_[view.self.id] += by) == 0) lonely_.erase(view.self.id);
    all_touched_ = true;
  }
  Id a = view.self.id;
  for (const Position& b : view.successors) {
    // Nearly always there is nobody between neighbours of a list, so this costs one search.
    auto at = live_.upper_bound(a);
    for (std::size_t i = 0; i < live_.size(); ++i, ++at) {
      if (at == live_.end()) at = live_.begin();
      if (!between(a, at->first, b.id)) break;
      int& skips = at->second.skips;
      if (skips == 0 || skips + by == 0) touched_.push_back(at->first);
      skips += by;
    }
    a = b.id;
  }
}

int InvariantTracker::gaps_over(const Id& id) const {
  int gaps = 0;
  auto count = [&](const View& view) {
    Id a = view.self.id;
    for (const Position& b : view.successors) {
      gaps += between(a, id, b.id);
      a = b.id;
    }
  };
  for (const auto& [other, member] : live_)
    if (other != id) count(member.list.view);
  for (const auto& [number, list] : carried_) count(list.view);
  return gaps;
}

bool InvariantTracker::is_principal(const Id& id, const Member& member) const {
  return member.skips == 0 &&
         std::ranges::none_of(lonely_, [&](const auto& one) { return one.first != id && live_.contains(one.first); });
}

void InvariantTracker::look_again(const Id& id, Member& member, std::vector<Violation>* fallen) {
  bool now = is_principal(id, member);
  if (now == member.principal) return;
  member.principal = now;
  const Position& self = member.list.view.self;
  if (now) {
    ++principals_[self.node];
    return;
  }
  if (--principals_[self.node] == 0) principals_.erase(self.node);
  if (!member.returned)
    fallen->push_back({"C17", fmt::format("{}({}/{}) is principal no more", id.brief(), self.at.port, self.index)});
}

void InvariantTracker::look_again(std::vector<Violation>* fallen) {
  auto touched = std::exchange(touched_, {});
  if (std::exchange(all_touched_, false)) {
    for (auto& [id, member] : live_) look_again(id, member, fallen);
    return;
  }
  for (const Id& id : touched)
    if (auto found = live_.find(id); found != live_.end()) look_again(id, found->second, fallen);
}

int InvariantTracker::principal_nodes() {
  look_again(&fallen_);
  return static_cast<int>(principals_.size());
}

std::vector<Violation> InvariantTracker::check(RingMode mode) {
  look_again(&fallen_);
  auto broken = std::exchange(fallen_, {});
  if (mode == RingMode::small) broken.clear();
  const int enough = mode == RingMode::ordinary ? successor_nodes_ + 1 : 1;
  if (malformed_ == 0 && stranded_ == 0 && lonely_.empty() && static_cast<int>(principals_.size()) >= enough)
    return broken;
  ++full_checks_;
  auto full = check_invariant(snapshot(), mode);
  full.insert(full.end(), std::make_move_iterator(broken.begin()), std::make_move_iterator(broken.end()));
  return full;
}

RingSnapshot InvariantTracker::snapshot(const std::set<Carried>& without) const {
  RingSnapshot snapshot{.successor_nodes = successor_nodes_, .live = {}, .in_flight = {}};
  for (const auto& [id, member] : live_) snapshot.live.push_back(member.list.view);
  for (const auto& [number, list] : carried_)
    if (!without.contains(number)) snapshot.in_flight.push_back(list.view);
  return snapshot;
}

}  // namespace chordfs
