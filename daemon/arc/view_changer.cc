#include "daemon/arc/view_changer.h"

#include <spdlog/spdlog.h>

#include "daemon/arc/arcs.h"

namespace chordfs {

namespace {
constexpr Duration kRoundEvery = 300ms;
constexpr Duration kOverdue = 3s;
/// How long an arc that is as it should be is left alone, unless something changes.
constexpr Duration kCalm = 2s;
constexpr std::size_t kLooksAtOnce = 16;
/// A learner this close is kept up with by what is under way.
constexpr std::uint64_t kNearly = 5;
}  // namespace

ViewChanger::ViewChanger(Arcs& arcs) : arcs_(arcs), looks_(kLooksAtOnce), tasks_(arcs.runtime_) {}

void ViewChanger::start() {
  tasks_.spawn("views", rounds());
}

awaitable<void> ViewChanger::stop() {
  tasks_.stop();
  co_await tasks_.join();
}

awaitable<void> ViewChanger::rounds() {
  for (;;) {
    co_await wake_.wait_for(arcs_.runtime_, arcs_.runtime_.jitter(kRoundEvery));
    for (const auto& arc : arcs_.all()) {
      arcs_.look_after(arc);
      // An arc that is as it should be is not looked at each time.
      if (!arc->serves() || arc->looking || (arc->looked == news_ && arcs_.runtime_.now() < arc->calm_until)) continue;
      arc->looking = true;
      tasks_.spawn("look at an arc", look(arc));
    }
  }
}

awaitable<void> ViewChanger::look(ArcPtr arc) {
  struct Looking {
    Arc& arc;
    ~Looking() { arc.looking = false; }
  } looking{*arc};
  auto place = co_await looks_.acquire();
  co_await round(arc);
}

bool ViewChanger::complete(const ArcPtr& arc, const Replica& member) const {
  const auto& raft = *arc->raft;
  if (member == raft.self()) return !raft.passive();
  const auto* known = raft.progress(member);
  if (known == nullptr || known->snapshot || known->probing || known->match + kNearly < raft.commit()) return false;
  return raft.view().votes(member) ||
         (arc->complete.contains({member.node, member.generation}) && arcs_.copies_.owes_nothing(arc->number, member));
}

awaitable<void> ViewChanger::round(ArcPtr arc) {
  auto& runtime = arcs_.runtime_;
  auto raft = arc->raft;
  if (!arc->serves()) co_return;
  const auto news = news_;
  const int evict_ticks = static_cast<int>(arcs_.options_.evict_after / kRaftTick);
  std::set<Uuid> replaced;  // Another node stands at its address: its disk was wiped.
  auto silent = [&](const Replica& one) {
    const auto* known = raft->progress(one);
    return !(one == raft->self()) && known != nullptr && known->silent >= evict_ticks;
  };
  auto leaving = [&](const Uuid& node) {
    return node == arcs_.self_ ? arcs_.leaving_ : arcs_.messenger_.is_leaving(node);
  };
  Replicas alive;
  for (const auto& member : raft->view().everybody())
    if (!silent(member) && !leaving(member.node)) alive.push_back(member);
  auto desired = co_await arcs_.hooks_.desired(arc->number, alive);
  if (!desired || raft != arc->raft || !arc->serves()) co_return;
  for (const auto& member : raft->view().everybody())
    for (const auto& listed : desired->listed)
      if (listed.node != member.node && listed.at == arcs_.messenger_.address_of(member)) replaced.insert(member.node);
  std::erase_if(desired->chosen, [&](const Replica& one) { return leaving(one.node) || replaced.contains(one.node); });

  if (raft->view_committed())
    arc->view_since.reset();
  else if (!arc->view_since)
    arc->view_since = runtime.now();
  const bool settled =
      take(arc, next_step({
                    .view = raft->view(),
                    .committed = raft->view_committed(),
                    .overdue = arc->view_since && *arc->view_since + kOverdue <= runtime.now(),
                    .self = raft->self(),
                    .desired = std::move(desired->chosen),
                    .live = [&](const Replica& one) { return raft->live(one); },
                    .dead = [&](const Replica& one) { return silent(one) || replaced.contains(one.node); },
                    .complete = [&](const Replica& one) { return complete(arc, one); },
                    .leaving = leaving,
                }));
  if (!settled) co_return;
  arc->looked = news;
  arc->calm_until = runtime.now() + runtime.jitter(kCalm);
}

/// True if nothing was to be done.
bool ViewChanger::take(const ArcPtr& arc, ViewStep step) {
  auto& raft = *arc->raft;
  if (step.propose) {
    if (raft.propose_view(std::move(*step.propose))) {
      spdlog::debug("arc {}: view {}", arc->number, raft.view().text());
      arc->view_since.reset();
    }
    arcs_.touch(arc);
  } else if (step.make_whole) {
    const auto* known = raft.progress(*step.make_whole);
    const bool near = known != nullptr && !known->snapshot && known->match + kNearly >= raft.commit();
    if (!near || arc->completing) return false;
    arc->completing = true;
    spdlog::debug("arc {}: {} is to have all blocks", arc->number, step.make_whole->at.text());
    tasks_.spawn("make a learner whole", make_whole(arc, *step.make_whole, raft.term()));
  } else if (step.hand_over_to) {
    raft.transfer(*step.hand_over_to);
    arcs_.touch(arc);
  }
  return step.settled() && raft.view_committed();
}

awaitable<void> ViewChanger::make_whole(ArcPtr arc, Replica learner, std::uint64_t term) {
  struct Completing {
    Arc& arc;
    ~Completing() { arc.completing = false; }
  } completing{*arc};
  auto whole = co_await arcs_.copies_.make_complete(arc->number, learner);
  if (!whole || !*whole) {
    spdlog::debug("arc {}: {} has not all blocks yet: {}", arc->number, learner.at.text(),
                  whole ? "some were put meanwhile" : whole.error().text());
    co_await arcs_.runtime_.sleep(kRoundEvery);
    co_return;
  }
  if (arc->leads() && arc->raft->term() == term) {
    arc->complete.insert({learner.node, learner.generation});
    nudge();
  }
}

}  // namespace chordfs
