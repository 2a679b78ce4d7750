#include "daemon/arc/view_step.h"

#include <algorithm>
#include <map>

#include "daemon/arc/raft/defects.h"

namespace chordfs {

namespace {

bool has_node(const Replicas& set, const Uuid& node) {
  return find_replica(set, node) != nullptr;
}

/// By rank; those of equal rank stay as they are.
Replicas ranked(const Replicas& set, const std::function<std::ptrdiff_t(const Replica&)>& rank) {
  std::multimap<std::ptrdiff_t, Replica> by_rank;
  for (const auto& one : set) by_rank.emplace(rank(one), one);
  Replicas sorted;
  for (auto& [place, one] : by_rank) sorted.push_back(std::move(one));
  return sorted;
}

class Planner {
 public:
  explicit Planner(const Standing& standing) : s_(standing), voters_(standing.view.voters) { choose_targets(); }

  ViewStep step() const {
    const bool early = planted(Defect::append_before_joint_commits);
    if (s_.view.joint()) return s_.committed || early ? leave_joint() : (s_.overdue ? take_back() : ViewStep{});
    if (!s_.committed) return {};
    if (auto view = add_learners()) return {.propose = std::move(view)};
    auto ins = newcomers();
    auto outs = leavers();
    if (!ins.empty()) {
      if (targets_.size() >= voters_.size() + 2) return grow(ins);
      if (!outs.empty()) return replace(ins, outs);
    }
    if (targets_.size() < voters_.size() && outs.size() >= 2) return shrink(outs);
    if (auto view = drop_learners()) return {.propose = std::move(view)};
    if (auto step = hand_over(); !step.settled()) return step;
    return make_whole(s_.view.learners);  // Those that stay learners, in a ring of two.
  }

 private:
  /// Who is to vote: an odd number, and no fewer than vote now unless some of those leave.
  void choose_targets() {
    const auto leaving = std::ranges::count_if(voters_, [&](const Replica& v) { return s_.leaving(v.node); });
    auto stay = odd_floor(voters_.size() - static_cast<std::size_t>(leaving));
    if (planted(Defect::quorum_shrunk_on_suspicion)) {
      const auto live = static_cast<std::size_t>(std::ranges::count_if(voters_, s_.live));
      stay = std::min(stay, odd_floor(live));
    }
    const auto count = std::max(odd_floor(s_.desired.size()), stay);
    // Where not all can vote (an even number of nodes), those who do go on: a lone voter is never moved for order's
    // sake.
    const bool all = s_.desired.size() <= count;
    for (const bool voting : {true, false})
      for (const auto& one : s_.desired)
        if (targets_.size() < count && (all ? voting : has_node(voters_, one.node) == voting)) targets_.push_back(one);
    for (const auto& voter : voters_)
      if (targets_.size() < count && !has_node(targets_, voter.node) && !s_.leaving(voter.node))
        targets_.push_back(voter);
  }

  bool wanted(const Uuid& node) const { return has_node(targets_, node) || has_node(s_.desired, node); }

  /// In the order of preference; who is not wanted last.
  Replicas sorted(const Replicas& set) const {
    return ranked(set, [&](const Replica& one) {
      return std::ranges::find(s_.desired, one.node, &Replica::node) - s_.desired.begin();
    });
  }

  ViewStep enter_joint(const Replicas& voters) const {
    ArcView next{.voters = sorted(voters), .old_voters = voters_, .learners = s_.view.learners};
    std::erase_if(next.learners, [&](const Replica& one) { return has_node(next.voters, one.node); });
    if (planted(Defect::no_joint_consensus)) next.old_voters.clear();
    return {.propose = std::move(next)};
  }

  ViewStep leave_joint() const {
    ArcView next{.voters = s_.view.voters, .old_voters = {}, .learners = s_.view.learners};
    // Who votes no longer but is to keep a copy (two nodes: one votes) learns from now on.
    for (const auto& old : s_.view.old_voters)
      if (!has_node(next.voters, old.node) && has_node(s_.desired, old.node)) next.learners.push_back(old);
    return {.propose = std::move(next)};
  }

  /// Safe: the joint view and the old one both need a majority of the old voters.
  ViewStep take_back() const {
    ArcView next{.voters = s_.view.old_voters, .old_voters = {}, .learners = s_.view.learners};
    for (const auto& one : s_.view.voters)
      if (!has_node(next.voters, one.node)) next.learners.push_back(one);
    return {.propose = std::move(next)};
  }

  std::optional<ArcView> add_learners() const {
    auto next = s_.view;
    for (const auto* set : {&targets_, &s_.desired})
      for (const auto& one : *set)
        if (next.find(one.node) == nullptr) next.learners.push_back({.node = one.node, .at = one.at, .generation = {}});
    if (next.learners.size() == s_.view.learners.size()) return std::nullopt;
    return next;
  }

  std::optional<ArcView> drop_learners() const {
    auto next = s_.view;
    std::erase_if(next.learners, [&](const Replica& one) { return !wanted(one.node); });
    if (next.learners.size() == s_.view.learners.size()) return std::nullopt;
    return next;
  }

  Replicas newcomers() const {
    Replicas ins;
    for (const auto& target : targets_)
      if (const auto* learner = find_replica(s_.view.learners, target.node)) ins.push_back(*learner);
    return ins;
  }

  /// Dead ones first, this node last.
  Replicas leavers() const {
    Replicas outs;
    for (const auto& voter : voters_)
      if (!has_node(targets_, voter.node)) outs.push_back(voter);
    return ranked(outs, [&](const Replica& one) { return one == s_.self ? 2 : (s_.dead(one) ? 0 : 1); });
  }

  bool complete(const Replica& one) const { return s_.complete(one) || planted(Defect::learner_promoted_early); }

  bool majority_live(const Replicas& set) const {
    return static_cast<std::size_t>(std::ranges::count_if(set, s_.live)) > set.size() / 2;
  }

  ViewStep make_whole(const Replicas& ins) const {
    for (const auto& one : ins)
      if (s_.live(one) && !s_.complete(one)) return {.make_whole = one};
    return {};
  }

  ViewStep grow(const Replicas& ins) const {
    auto next = voters_;
    for (const auto& one : ins)
      if (next.size() < voters_.size() + 2 && s_.live(one) && complete(one)) next.push_back(one);
    if (next.size() < voters_.size() + 2) return make_whole(ins);
    return enter_joint(next);
  }

  ViewStep replace(const Replicas& ins, const Replicas& outs) const {
    auto in = std::ranges::find_if(ins, [&](const Replica& one) { return s_.live(one) && complete(one); });
    if (in == ins.end()) return make_whole(ins);
    const auto& out = outs.front();
    // One that still leads hands over first, if somebody who stays can go on at once.
    if (out == s_.self)
      for (const auto& voter : voters_)
        if (voter != out && has_node(targets_, voter.node) && s_.live(voter)) return {.hand_over_to = voter.node};
    auto next = voters_;
    std::erase(next, out);
    next.push_back(*in);
    // A voter is not let go while the new set could not stand without it.
    if (!majority_live(next)) return {};
    return enter_joint(next);
  }

  ViewStep shrink(const Replicas& outs) const {
    auto next = voters_;
    std::erase(next, outs[0]);
    std::erase(next, outs[1]);
    if (outs[0] == s_.self || outs[1] == s_.self)
      for (const auto& voter : next)
        if (has_node(targets_, voter.node) && s_.live(voter)) return {.hand_over_to = voter.node};
    if (!majority_live(next)) return {};
    return enter_joint(next);
  }

  ViewStep hand_over() const {
    for (const auto& one : s_.desired) {
      if (one.node == s_.self.node) return {};
      const auto* voter = find_replica(voters_, one.node);
      if (voter != nullptr && s_.live(*voter)) return {.hand_over_to = voter->node};
    }
    // Not wanted here at all, and nobody of those wanted lives.
    return {};
  }

  const Standing& s_;
  const Replicas& voters_;
  Replicas targets_;
};

}  // namespace

ViewStep next_step(const Standing& standing) {
  return Planner(standing).step();
}

}  // namespace chordfs
