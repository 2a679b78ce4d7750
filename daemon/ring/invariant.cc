#include "daemon/ring/invariant.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace chordfs {

namespace {

std::string name(const Position& p) {
  return fmt::format("{}({}/{})", p.id.brief(), p.at.port, p.index);
}

std::string names(const std::vector<Position>& list) {
  std::string text;
  for (const Position& p : list) text += (text.empty() ? "" : " ") + name(p);
  return "[" + text + "]";
}

class Checker {
 public:
  explicit Checker(const RingSnapshot& snapshot) : snapshot_(snapshot) {
    for (const View& view : snapshot.live)
      if (!live_.emplace(view.self.id, &view).second) broken("C1", "two members are " + name(view.self));
  }

  void structure(const View& view) {
    for (auto& violation : check_structure(view, snapshot_.successor_nodes))
      violations_.push_back(std::move(violation));
  }

  void live_successor(const View& view, const char* rule) {
    bool any = std::ranges::any_of(view.successors, [this](const Position& p) { return live_.contains(p.id); });
    if (!any && !view.successors.empty())
      broken(rule, name(view.self) + " lists only dead ones " + names(view.successors));
  }

  std::vector<Position> principals() {
    std::set<Id> skipped;
    for (const auto* views : {&snapshot_.live, &snapshot_.in_flight})
      for (const View& view : *views) skip(view, skipped);
    std::vector<Position> result;
    for (const auto& [id, view] : live_)
      if (!skipped.contains(id)) result.push_back(view->self);
    return result;
  }

  /// C7 to C11: follow the first live successors. That some ring is reached (C7, C10) holds of itself, because a
  /// member without a live successor counts as its own; then there are two rings.
  void ring(const std::vector<Position>& principals) {
    if (live_.empty()) return;
    const std::set<Id>& members = cycle_from(live_.begin()->first);
    for (const auto& [id, view] : live_) {
      const std::set<Id>& reached = cycle_from(id);
      if (&reached == &members) continue;
      return broken(
          "C8", fmt::format("two rings: one of {} with {}, one of {} with {}", members.size(),
                            name(live_[*members.begin()]->self), reached.size(), name(live_[*reached.begin()]->self)));
    }
    for (const Id& id : members) {
      Id best = best_of(id);
      for (const Id& other : members)
        if (between(id, other, best) && id != best)
          broken("C9", fmt::format("{} is followed by {}, but {} lies between", id.brief(), best.brief(),
                                   name(live_[other]->self)));
    }
    for (const Position& p : principals)
      if (!members.contains(p.id)) broken("C11", "principal " + name(p) + " is not in the ring");
  }

  void ideal() {
    for (const auto& [id, view] : live_) {
      std::vector<Position> run;
      auto at = live_.upper_bound(id);
      for (std::size_t i = 1; i < live_.size(); ++i, ++at) {
        if (at == live_.end()) at = live_.begin();
        run.push_back(at->second->self);
      }
      auto expected = cut(view->self, run, snapshot_.successor_nodes);
      if (view->successors != expected)
        broken("C18", name(view->self) + " lists " + names(view->successors) + " instead of " + names(expected));
      const Position& before = run.empty() ? view->self : run.back();
      if (view->predecessor != before)
        broken("C18", name(view->self) + " has predecessor " + name(view->predecessor) + " instead of " + name(before));
    }
  }

  void ownership() {
    for (const auto& [id, view] : live_)
      for (const Id& key : {id, id.plus_power(0)}) {
        auto owners = std::ranges::count_if(snapshot_.live,
                                            [&key](const View& v) { return owned(v.predecessor.id, key, v.self.id); });
        if (owners != 1) broken("C20", fmt::format("{} members own {}", owners, key.brief()));
      }
  }

  void principal_nodes(const std::vector<Position>& found) {
    if (nodes_of(found) <= snapshot_.successor_nodes)
      broken("C5", fmt::format("principals on {} nodes only: {}", nodes_of(found), names(found)));
  }

  std::vector<Violation> take() { return std::move(violations_); }

 private:
  void broken(std::string rule, std::string what) { violations_.push_back({std::move(rule), std::move(what)}); }

  void skip(const View& view, std::set<Id>& skipped) {
    // Alone by its own belief: its list is (self, self], so it skips everyone else.
    if (view.successors.empty() && live_.contains(view.self.id))
      for (const auto& [id, other] : live_)
        if (id != view.self.id) skipped.insert(id);
    Id a = view.self.id;
    for (const Position& b : view.successors) {
      // Nearly always there is nobody between neighbours of a list, so this costs one search.
      auto at = live_.upper_bound(a);
      for (std::size_t i = 0; i < live_.size(); ++i, ++at) {
        if (at == live_.end()) at = live_.begin();
        if (!between(a, at->first, b.id)) break;
        skipped.insert(at->first);
      }
      a = b.id;
    }
  }

  Id best_of(const Id& id) {
    for (const Position& p : live_[id]->successors)
      if (live_.contains(p.id)) return p.id;
    return id;
  }

  /// The members of the cycle that best_of leads into from here. One whose whole list is dead is a cycle by itself.
  const std::set<Id>& cycle_from(const Id& start) {
    std::set<Id> path;
    Id at = start;
    while (!ring_of_.contains(at) && path.insert(at).second) at = best_of(at);
    if (!ring_of_.contains(at)) {
      std::set<Id>& cycle = rings_[at];
      for (Id member = at; cycle.insert(member).second;) member = best_of(member);
    }
    Id ring = ring_of_.contains(at) ? ring_of_[at] : at;
    for (const Id& id : path) ring_of_[id] = ring;
    return rings_[ring];
  }

  const RingSnapshot& snapshot_;
  std::map<Id, const View*> live_;
  std::map<Id, std::set<Id>> rings_;  ///< Cycles found, by one of their members.
  std::map<Id, Id> ring_of_;
  std::vector<Violation> violations_;
};

}  // namespace

std::vector<Violation> check_structure(const View& view, int successor_nodes) {
  std::vector<Violation> violations;
  auto broken = [&](const char* rule, const char* how) {
    violations.push_back({rule, name(view.self) + how + names(view.successors)});
  };
  if (view.predecessor.node.empty()) broken("C1", " has no predecessor, but the list ");
  // Strictly increasing distance is the same as between(ESL[i], ESL[j], ESL[k]) for all i < j < k.
  Id last;
  for (const Position& p : view.successors) {
    Id distance = p.id - view.self.id;
    if (p.id == view.self.id) broken("C2", " lists itself ");
    if (distance == last) broken("C2", " lists one twice ");
    if (distance < last) broken("C3", " lists out of order ");
    last = distance;
  }
  if (cut(view.self, view.successors, successor_nodes).size() != view.successors.size())
    broken("C1", " lists too many ");
  return violations;
}

std::vector<Violation> check_invariant(const RingSnapshot& snapshot, RingMode mode) {
  Checker checker(snapshot);
  for (const View& view : snapshot.live) {
    checker.structure(view);
    checker.live_successor(view, "C4");
  }
  for (const View& view : snapshot.in_flight) checker.live_successor(view, "C6");
  auto found = checker.principals();
  if (mode == RingMode::ordinary) checker.principal_nodes(found);
  // C11 follows from more than r principals; one that has just joined a ring of one is skipped by nobody's list.
  checker.ring(mode == RingMode::ordinary ? found : std::vector<Position>());
  return checker.take();
}

std::vector<Violation> check_ideal(const RingSnapshot& snapshot) {
  Checker checker(snapshot);
  checker.ideal();
  auto violations = checker.take();
  if (!violations.empty()) return violations;
  checker.ownership();
  return checker.take();
}

std::vector<Position> principals(const RingSnapshot& snapshot) {
  return Checker(snapshot).principals();
}

int nodes_of(const std::vector<Position>& positions) {
  std::set<Uuid> nodes;
  for (const Position& p : positions) nodes.insert(p.node);
  return static_cast<int>(nodes.size());
}

std::string text_of(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& v : violations) text += v.rule + ": " + v.what + "\n";
  return text;
}

}  // namespace chordfs
