#include "tools/sim/step_rules.h"

#include <fmt/format.h>

#include <algorithm>

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

bool lists(const std::vector<Position>& list, const Position& p) {
  return std::ranges::find(list, p.id, &Position::id) != list.end();
}
}  // namespace

void StepRules::hears(const View& view, bool busy) {
  if (busy)
    alive_.push_back(view.self);
  else
    heard_.push_back(view);
}

void StepRules::hears_of_leave(const Position& leaver, const std::vector<Position>& successors) {
  left_.push_back(successors);
  left_.back().push_back(leaver);
}

void StepRules::idle() {
  missed_.clear();
  heard_.clear();
  alive_.clear();
  left_.clear();
}

const View* StepRules::before(const Id& id) const {
  auto found = std::ranges::find(members_, id, [](const View& view) { return view.self.id; });
  return found == members_.end() ? nullptr : &*found;
}

bool StepRules::answered(const Position& p) const {
  return p.node == node_ || lists(alive_, p) ||
         std::ranges::any_of(heard_, [&](const View& view) { return view.self.id == p.id; });
}

bool StepRules::known(const Position& p, const View* before) const {
  if (answered(p) || (before != nullptr && lists(before->successors, p))) return true;
  return std::ranges::any_of(heard_, [&](const View& view) { return lists(view.successors, p); }) ||
         std::ranges::any_of(members_, [&](const View& view) { return lists(view.successors, p); }) ||
         std::ranges::any_of(left_, [&](const auto& list) { return lists(list, p); });
}

void StepRules::changed(std::vector<View> members, std::vector<Violation>& violations) {
  // One position of a node that leaves tells the others without a message.
  for (const View& view : members_)
    if (std::ranges::none_of(members, [&](const View& now) { return now.self.id == view.self.id; }))
      hears_of_leave(view.self, view.successors);
  for (const View& now : members) {
    const View* before = this->before(now.self.id);
    if (before == nullptr) {
      joined(now, violations);
      continue;
    }
    if (now.predecessor != before->predecessor) new_predecessor(*before, now, members, violations);
    if (now.successors != before->successors) new_list(*before, now, violations);
  }
  // Another position of this node may have looked at the old state, without any message.
  heard_.insert(heard_.end(), members_.begin(), members_.end());
  members_ = std::move(members);
}

void StepRules::joined(const View& now, std::vector<Violation>& violations) const {
  auto own = [this](const Position& p) { return p.node == node_; };
  // The first of a ring: nobody to ask.
  if (own(now.predecessor) && std::ranges::all_of(now.successors, own)) return;
  if (now.successors.empty()) violations.push_back({"C14", name(now.self) + " has joined with an empty list"});
  if (!answered(now.predecessor))
    violations.push_back({"C14", fmt::format("{} has joined after {}, which it has not heard in this operation",
                                             name(now.self), name(now.predecessor))});
  auto source = [&](const View& view) { return cut(now.self, view, successor_nodes_) == now.successors; };
  if (std::ranges::none_of(heard_, source) && std::ranges::none_of(members_, source))
    violations.push_back(
        {"C14", name(now.self) + " has joined with a list that nobody gave it whole: " + names(now.successors)});
}

void StepRules::new_predecessor(const View& before, const View& now, const std::vector<View>& members,
                                std::vector<Violation>& violations) const {
  const Position& p = now.predecessor;
  if (!answered(p))
    violations.push_back({"C12", fmt::format("{} takes {} as predecessor, which has not answered in this operation",
                                             name(now.self), name(p))});
  const Position& old = before.predecessor;
  if (p.id == old.id || between(old.id, p.id, now.self.id)) return;
  // It has answered, and no call to its node has failed since: it was not found dead.
  const bool missed = std::ranges::find(missed_, old.at) != missed_.end();
  const bool left = std::ranges::any_of(left_, [&](const auto& list) { return list.back().id == old.id; });
  const bool own_left =
      old.node == node_ && std::ranges::none_of(members, [&](const View& view) { return view.self.id == old.id; });
  if (answered(old) && !missed && !left && !own_left)
    violations.push_back({"C15", fmt::format("{} takes {} as predecessor, but {} is closer and has answered",
                                             name(now.self), name(p), name(old))});
}

void StepRules::new_list(const View& before, const View& now, std::vector<Violation>& violations) const {
  for (const Position& p : now.successors)
    if (!known(p, &before))
      return violations.push_back(
          {"C12", fmt::format("{} lists {}, which nobody has named to it in this operation", name(now.self), name(p))});
  if (now.successors.empty()) return;
  // What moves up when those before it are dead is asked next, not first.
  const Position& first = now.successors.front();
  if (!answered(first) && !lists(before.successors, first))
    violations.push_back({"C12", fmt::format("{} takes {} as successor, which has not answered in this operation",
                                             name(now.self), name(first))});
}

void StepRules::answers(const View& view, bool outstanding, std::vector<Violation>& violations) {
  const View* now = before(view.self.id);
  if (now == nullptr || *now != view)
    violations.push_back({"C13", name(view.self) + " tells of itself what is not so"});
  if (outstanding)
    violations.push_back({"C13", name(view.self) + " tells of itself while it waits for what may change it"});
}

}  // namespace chordfs
