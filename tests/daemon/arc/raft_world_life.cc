// RaftWorld: faults, steps from view to view, clients, healing.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/arc/raft/defects.h"
#include "tests/daemon/arc/raft_world.h"

namespace chordfs {

namespace {
constexpr Duration kDead = 3s;
constexpr Duration kViewStep = 300ms;
constexpr Duration kClientPatience = 2s;
constexpr Duration kHealing = 10s;
constexpr int kLiveMax = 7;
}  // namespace

void RaftWorld::draw_plan() {
  auto& rng = rng_;
  plan_.nodes = 1 + static_cast<int>(rng.below(7));
  if (rng.chance(0.6)) plan_.nodes = 3 + static_cast<int>(rng.below(3));
  plan_.copies = rng.chance(0.7) ? 3 : 1 + static_cast<int>(rng.below(5));
  plan_.begin_alone = rng.chance(0.4);
  plan_.chaos = rng.between(10s, 40s);
  plan_.fault_gap = rng.between(200ms, 2s);
  if (rng.chance(0.7)) plan_.loss = 0.001 * static_cast<double>(rng.below(150));
  if (rng.chance(0.7)) plan_.duplication = 0.02 + 0.001 * static_cast<double>(rng.below(130));
  if (rng.chance(0.6)) plan_.late = 0.001 * static_cast<double>(rng.below(200));
  plan_.fsync_max = rng.chance(0.5) ? 120ms : rng.between(2ms, 120ms);
  plan_.slow_disks = rng.chance(0.15);
  if (rng.chance(0.35)) plan_.hunt = 0.3 + 0.1 * static_cast<double>(rng.below(7));
  plan_.churn = rng.chance(0.4);
  plan_.cut = rng.chance(0.7) ? 0.001 * static_cast<double>(rng.below(200)) : 0;
  for (auto& weight : plan_.weights) weight = rng.chance(0.3) ? 0 : 1 + static_cast<int>(rng.below(8));
  if (hang_rng_.chance(0.25)) plan_.hang_gap = hang_rng_.between(2s, 8s);
  if (forgets()) plan_.weights[2] = 8;
}

void RaftWorld::begin() {
  committed_.resize(2);
  committed_[1] = {1, 0, 1};
  for (int i = 0; i < plan_.nodes; ++i) add_node();
  const auto voters = plan_.begin_alone ? 1 : odd_floor(static_cast<std::size_t>(std::min(plan_.nodes, plan_.copies)));
  for (std::size_t i = 0; i < voters; ++i)
    committed_view_.voters.push_back({nodes_[i]->uuid, {"", static_cast<std::uint16_t>(nodes_[i]->number)}, {1, 1}});
  for (std::size_t i = 0; i < voters; ++i) {
    auto& disk = nodes_[i]->disk;
    disk.replica = true;
    disk.generation = disk.highest = {1, 1};
    disk.base = {1, 1, 1, 1, committed_view_};
    disk.state = {.index = 1, .hash = 1, .registers = {}};
    sync(*nodes_[i]);
  }
  for (auto& node : nodes_) start(*node);
  hello();
  clients_.resize(3);
  for (int i = 0; i < static_cast<int>(clients_.size()); ++i) client_turn(i);
  at(plan_.fault_gap, [this] { fault(); });
  if (plan_.hang_gap > 0s) at(plan_.hang_gap, [this] { hang(); });
}

void RaftWorld::run() {
  begin();
  if (!run_until(Time() + plan_.chaos)) return;
  heal();
  if (violation_ || numbers_.lost > 0) return;
  const auto verdict = check_linearizable(history_);
  if (verdict.outcome == Verdict::Outcome::violated) fail("I11: " + verdict.explanation);
}

// ---- Faults ----

RaftWorld::Node* RaftWorld::pick(const std::function<bool(const Node&)>& which) {
  std::vector<Node*> found;
  for (auto& node : nodes_)
    if (which(*node)) found.push_back(node.get());
  return found.empty() ? nullptr : found[rng_.below(found.size())];
}

void RaftWorld::fault() {
  if (healing_) return;
  at(rng_.exponential(plan_.fault_gap), [this] { fault(); });
  auto up = [](const Node& n) { return n.up; };
  auto back_later = [this](Node& node) {
    at(rng_.chance(0.7) ? rng_.between(10ms, 2s) : rng_.between(2s, 8s), [this, &node, inc = node.incarnation] {
      if (!node.up && !node.wiped && !node.left && node.incarnation == inc) start(node);
    });
  };
  auto heal_later = [this](std::vector<std::pair<int, int>> links) {
    for (const auto& link : links) cut_links_.insert(link);
    at(rng_.between(200ms, 5s), [this, links] {
      for (const auto& link : links) cut_links_.erase(link);
    });
  };
  if (relaxed() && rng_.chance(0.3)) {
    if (auto* node = pick([this](const Node& n) { return may_lose(n); }); node != nullptr && node->up)
      lose_power(*node), back_later(*node);
    return;
  }
  int total = 0;
  for (int weight : plan_.weights) total += weight;
  if (total == 0) return;
  auto drawn = static_cast<int>(rng_.below(static_cast<std::uint64_t>(total)));
  std::size_t kind = 0;
  while (drawn >= plan_.weights[kind]) drawn -= plan_.weights[kind++];
  switch (kind) {
    case 0:
      if (auto* node = pick(up)) crash(*node), tell_of_death(*node), back_later(*node);
      break;
    case 1:  // A leader.
      if (auto* node = pick([](const Node& n) { return n.up && n.raft && n.raft->leads(); }))
        crash(*node), tell_of_death(*node), back_later(*node);
      break;
    case 2:
      if (!rng_.chance(0.2)) break;
      note("power loss");
      for (auto& node : nodes_)
        if (node->up) {
          forgets() ? lose_power(*node) : crash(*node);
          back_later(*node);
        }
      break;
    case 3: {  // Halves.
      std::vector<std::pair<int, int>> links;
      std::vector<bool> side;
      for (std::size_t i = 0; i < nodes_.size(); ++i) side.push_back(rng_.chance(0.5));
      const bool one_way = rng_.chance(0.33);
      for (std::size_t i = 0; i < nodes_.size(); ++i)
        for (std::size_t j = 0; j < nodes_.size(); ++j)
          if (side[i] != side[j] && (!one_way || side[i])) links.emplace_back(i + 1, j + 1);
      heal_later(links);
      break;
    }
    case 4: {  // One node, often a leader, alone, or deaf, or dumb.
      auto* node = rng_.chance(0.6) ? pick([](const Node& n) { return n.raft && n.raft->leads(); }) : pick(up);
      if (node == nullptr) break;
      const auto way = rng_.below(4);
      std::vector<std::pair<int, int>> links;
      for (auto& other : nodes_) {
        if (other.get() == node) continue;
        if (way != 0) links.emplace_back(node->number, other->number);
        if (way != 1) links.emplace_back(other->number, node->number);
      }
      heal_later(links);
      break;
    }
    case 5:
      // Or a false alarm: some hear of the death of a leader that lives.
      if (rng_.chance(0.3)) {
        if (auto* node = pick([](const Node& n) { return n.up && n.raft && n.raft->leads(); })) tell_of_death(*node);
        break;
      }
      // Over when healing begins, like every fault: what a paused node has put off begins then.
      if (auto* node = pick(up)) node->paused_until = std::min(now_ + rng_.between(50ms, 4s), Time() + plan_.chaos);
      break;
    case 6:
      if (auto* node = pick([this](const Node& n) { return may_lose(n); }); node != nullptr && rng_.chance(0.4))
        wipe(*node);
      break;
    case 7:
      if (std::ranges::count_if(nodes_, [](const auto& n) { return !n->wiped && !n->left; }) < kLiveMax &&
          nodes_.size() < 14 && (plan_.churn || rng_.chance(0.1)))
        start(add_node());
      break;
    default:
      if (!plan_.churn) break;
      if (std::ranges::count_if(nodes_, [](const auto& n) { return n->up && !n->leaving; }) < 2) break;
      if (auto* node = pick([](const Node& n) { return n.up && !n.leaving; })) {
        note(fmt::format("leave {}", node->number));
        node->leaving = true;
      }
  }
}

/// Its neighbours' connections end, and new ones are refused; not all of them hear of it.
void RaftWorld::tell_of_death(const Node& dead) {
  if (rng_.chance(0.2)) return;  // The machine died with it: silence.
  for (auto& node : nodes_)
    if (node.get() != &dead && node->up && linked(dead, *node) && !rng_.chance(0.1 + plan_.loss))
      on_node(*node, delay(), [uuid = dead.uuid](Node& n) {
        if (n.raft) n.raft->died(uuid);
      });
}

/// Finding: the moment between a leader's first append and its first commit.
void RaftWorld::hunt(Node& node) {
  if (healing_ || !rng_.chance(plan_.hunt)) return;
  at(rng_.between(0ms, 150ms), [this, &node, inc = node.incarnation] {
    if (node.incarnation != inc || !node.up || healing_) return;
    if (rng_.chance(0.3)) {
      // Or cut off, so that what it appended stays with it.
      std::vector<std::pair<int, int>> links;
      for (auto& other : nodes_)
        if (other.get() != &node && rng_.chance(0.8)) links.emplace_back(node.number, other->number);
      for (const auto& link : links) cut_links_.insert(link);
      at(rng_.between(200ms, 4s), [this, links] {
        for (const auto& link : links) cut_links_.erase(link);
      });
      return;
    }
    crash(node);
    tell_of_death(node);
    at(rng_.between(10ms, 1500ms), [this, &node, inc2 = node.incarnation] {
      if (!node.up && !node.wiped && !node.left && node.incarnation == inc2) start(node);
    });
  });
}

/// Finding 11: a leader's disk hangs with entries that nobody else has, and hangs still when the next leader, elected
/// while the old one was cut off, replaces them. What it then says waits for its new term to be on disk; so writes must
/// come one by one, or what it says is true by the time it is said.
void RaftWorld::hang() {
  if (healing_) return;
  at(hang_rng_.exponential(plan_.hang_gap) + 1ms, [this] { hang(); });
  std::vector<Node*> leaders;
  for (auto& node : nodes_)
    if (node->up && node->raft && node->raft->leads()) leaders.push_back(node.get());
  if (leaders.empty()) return;
  auto& node = *leaders[hang_rng_.below(leaders.size())];
  note(fmt::format("hang {}", node.number));
  node.hangs_whole = hang_rng_.chance(0.3);
  node.hung_until = std::min(now_ + hang_rng_.between(800ms, 4s), Time() + plan_.chaos);
  std::vector<std::pair<int, int>> links;
  for (auto& other : nodes_)
    if (other.get() != &node) {
      links.emplace_back(node.number, other->number);
      links.emplace_back(other->number, node.number);
    }
  at(hang_rng_.between(0ms, 50ms), [this, links] {
    for (const auto& link : links) cut_links_.insert(link);
  });
  at(hang_rng_.between(500ms, 1500ms), [this, links] {
    for (const auto& link : links) cut_links_.erase(link);
  });
}

/// Every set of voters that may still decide keeps a majority of whole stores.
bool RaftWorld::may_lose(const Node& wiped) const {
  if (wiped.wiped || wiped.left) return false;
  auto survives = [&](const Replicas& set) {
    const auto lost = std::ranges::count_if(set, [&](const Replica& one) {
      const auto* node = find(one.node);
      const bool in_doubt = relaxed() && (node->lost_power || node->disk.hard.doubt != 0);
      return node == &wiped || node->wiped || node->left || in_doubt;
    });
    return static_cast<std::size_t>(lost) <= (set.size() - 1) / 2;
  };
  auto view_survives = [&](const ArcView& view) {
    return survives(view.voters) && (!view.joint() || survives(view.old_voters));
  };
  if (!view_survives(committed_view_)) return false;
  auto log_survives = [&](const std::deque<LogEntry>& entries) {
    return std::ranges::all_of(entries, [&](const LogEntry& entry) {
      if (entry.kind != EntryKind::view) return true;
      return view_survives(*view_from(entry.payload));
    });
  };
  for (const auto& node : nodes_) {
    if (node->wiped || node->left) continue;
    if (!log_survives(node->disk.entries)) return false;
    for (const auto& write : node->queue)
      for (const auto& entry : write.write.entries)
        if (entry.kind == EntryKind::view && !view_survives(*view_from(entry.payload))) return false;
  }
  return true;
}

void RaftWorld::wipe(Node& node) {
  ++numbers_.wipes;
  crash(node, false);
  note(fmt::format("wipe {}", node.number));
  if (planted(Defect::amnesia_after_wipe)) {
    node.disk = {};
    node.promised_term = 0;
    at(rng_.between(100ms, 4s), [this, &node, inc = node.incarnation] {
      if (!node.up && node.incarnation == inc) start(node);
    });
    return;
  }
  node.wiped = true;
  // The next one comes before the healing begins, like the end of every fault.
  at(std::min(rng_.between(100ms, 4s), Time() + plan_.chaos - now_), [this] { start(add_node()); });
}

// ---- Views ----

/// What nodes say of themselves to one another, whatever arcs they have.
void RaftWorld::hello() {
  at(200ms, [this] { hello(); });
  for (auto& from : nodes_)
    for (auto& to : nodes_)
      if (from->up && to->up && from->paused_until <= now_ && linked(*from, *to) && !rng_.chance(plan_.loss))
        heard_[{to->number, from->number}] = now_;
  for (auto& node : nodes_) {
    if (!node->up || node->queue.size() > 0) continue;
    const Replica self{node->uuid, {}, node->disk.generation};
    const bool named = node->disk.replica && committed_view_.has(self);
    // Whose members have all changed asks the owner of the arc (ArcViewRequest): not a matter of Raft.
    if (node->raft && node->disk.replica && !named && node->disk.generation.index < committed_.size() &&
        node->raft->leaderless() > 60) {
      note(fmt::format("asks {}", node->number));
      enqueue(
          *node,
          {.kind = DiskWrite::Kind::gone, .generation = node->disk.generation, .write = {}, .base = {}, .state = {}});
      erase_replica(*node);
    }
    if (node->leaving && !node->raft && !node->disk.replica && committed_view_.find(node->uuid) == nullptr &&
        std::ranges::none_of(nodes_, [&](const auto& other) {
          return other->raft && other->raft->view().find(node->uuid) != nullptr;
        })) {
      crash(*node, false);
      node->left = true;
      note(fmt::format("left {}", node->number));
    }
  }
}

Replicas RaftWorld::desired(const Node& seen_by) const {
  std::map<std::uint64_t, const Node*> ring;
  for (const auto& node : nodes_) {
    if (node->leaving || node->left || node->wiped) continue;
    auto heard = heard_.find({seen_by.number, node->number});
    if (node.get() != &seen_by && (heard == heard_.end() || now_ - heard->second > kDead)) continue;
    ring[node->place] = node.get();
  }
  Replicas first;
  for (const auto& [place, node] : ring)
    if (static_cast<int>(first.size()) < plan_.copies)
      first.push_back({node->uuid, {"", static_cast<std::uint16_t>(node->number)}, {}});
  return first;
}

Standing RaftWorld::standing(Node& node) {
  auto& raft = *node.raft;
  auto whole = [this, &node, &raft](const Replica& one) {
    const auto* progress = raft.progress(one);
    if (progress == nullptr || progress->snapshot || progress->probing || progress->match + 5 < raft.commit() ||
        !raft.live(one))
      return false;
    auto found = node.whole_at.find({one.node, one.generation});
    return found != node.whole_at.end() && found->second <= now_;
  };
  return {.view = raft.view(),
          .committed = raft.view_committed(),
          .overdue = now_ - node.watched_since > kDead,
          .self = raft.self(),
          .desired = desired(node),
          .live = [&raft](const Replica& one) { return raft.live(one); },
          .dead =
              [this, &node](const Replica& one) {
                auto heard = heard_.find({node.number, find(one.node)->number});
                return &node != find(one.node) && (heard == heard_.end() || now_ - heard->second > kDead);
              },
          .complete = whole,
          .leaving = [this](const Uuid& one) { return find(one)->leaving; }};
}

void RaftWorld::view_step(Node& node) {
  on_node(node, rng_.between(kViewStep * 9 / 10, kViewStep * 11 / 10), [this](Node& n) { view_step(n); });
  if (!node.raft || !node.raft->ready()) return;
  auto& raft = *node.raft;
  if (node.watched_view != raft.view_index()) {
    node.watched_view = raft.view_index();
    node.watched_since = now_;
  }
  auto step = next_step(standing(node));
  if (step.propose) {
    raft.propose_view(*step.propose);
  } else if (step.make_whole) {
    // Records are there when it has caught up; its blocks take a while.
    const auto* progress = raft.progress(*step.make_whole);
    if (progress != nullptr && !progress->snapshot && !progress->probing && progress->match + 5 >= raft.commit())
      node.whole_at.try_emplace({step.make_whole->node, step.make_whole->generation},
                                now_ + (healing_ ? 50ms : rng_.between(10ms, 800ms)));
  } else if (step.hand_over_to) {
    raft.transfer(*step.hand_over_to);
  }
}

// ---- Clients ----

void RaftWorld::client_done(int number, std::uint64_t operation) {
  auto& client = clients_[static_cast<std::size_t>(number)];
  if (!client.busy || client.operation != operation) return;
  client.busy = false;
  at(rng_.between(5ms, 200ms), [this, number] { client_turn(number); });
}

void RaftWorld::client_turn(int number) {
  if (clients_stopped_) return;
  auto& client = clients_[static_cast<std::size_t>(number)];
  // Any who believes that it leads, also one that was deposed.
  auto* node = pick([](const Node& n) { return n.up && n.raft && n.raft->ready() && !n.raft->transferring(); });
  if (node == nullptr || node->paused_until > now_) {
    at(rng_.between(20ms, 100ms), [this, number] { client_turn(number); });
    return;
  }
  const char key = static_cast<char>('a' + rng_.below(3));
  auto& raft = *node->raft;
  const auto who = static_cast<std::uint32_t>(number);
  client.busy = true;
  if (rng_.chance(0.5)) {
    auto value = std::to_string(++values_);
    client.operation = history_.invoke(
        now_, {.client = who, .kind = RegisterOperation::Kind::write, .key = {key}, .value = value, .expected = {}});
    const bool synced = relaxed() && rng_.chance(0.2);
    const auto index = raft.propose(key + value, synced ? EntryKind::synced : EntryKind::operation);
    if (!index) {
      history_.forget(client.operation);
      return client_done(number, client.operation);
    }
    node->writes.insert({*index, {raft.term(), number, client.operation}});
  } else {
    client.operation = history_.invoke(
        now_, {.client = who, .kind = RegisterOperation::Kind::read, .key = {key}, .value = {}, .expected = {}});
    const auto round = planted(Defect::stale_read) ? 0 : raft.request_round();
    node->reads.push_back({raft.term(), round, raft.commit(), number, client.operation, key});
  }
  at(kClientPatience, [this, number, operation = client.operation] {
    auto& waiting = clients_[static_cast<std::size_t>(number)];
    if (waiting.busy && waiting.operation == operation) ++numbers_.unknown;
    client_done(number, operation);
  });
  settle(*node);
}

// ---- Healing ----

void RaftWorld::heal() {
  note("heal");
  healing_ = true;
  cut_links_.clear();
  plan_.loss = plan_.duplication = plan_.late = 0;
  plan_.fsync_max = 10ms;
  plan_.slow_disks = false;
  for (auto& node : nodes_) {
    node->rate = 1;
    node->paused_until = {};
    if (!node->up && !node->wiped && !node->left) start(*node);
  }
  const auto began = now_;
  const auto messages = numbers_.messages;
  std::string why;
  auto quiet_since = now_;
  while (true) {
    if (!run_until(now_ + 100ms)) return;
    if (!settled(&why)) quiet_since = now_;
    if (now_ - quiet_since >= 1s) break;
    if (now_ - began > kHealing + 1s) return fail("I29: not healed: " + why + nodes_text());
  }
  numbers_.settled = quiet_since - began;
  const auto ok = numbers_.ok;
  if (!run_until(now_ + 1s)) return;
  if (numbers_.ok == ok) return fail("I29: nothing can be written");
  clients_stopped_ = true;
  if (!run_until(now_ + 3s)) return;
  if (!settled(&why)) return fail("I29: no longer healed: " + why);
  std::optional<std::pair<std::uint64_t, std::uint64_t>> state;
  for (const auto& one : committed_view_.everybody()) {
    const auto* node = find(one.node);
    if (!node->up) continue;
    if (!node->raft) return fail(fmt::format("I29: member {} has no replica", node->number));
    if (state && *state != std::pair(node->state.index, node->state.hash))
      return fail(fmt::format("I29: member {} is at {}, others at {}", node->number, node->state.index, state->first));
    state = {node->state.index, node->state.hash};
  }
  const auto seconds = static_cast<std::uint64_t>((now_ - began) / 1s);
  const auto members = static_cast<std::uint64_t>(std::ranges::count_if(nodes_, [](const auto& n) { return n->up; }));
  if ((numbers_.messages - messages) / (seconds * members) > 400) fail("I30: too many messages while nothing happens");
}

/// To find out why nothing happens.
std::string RaftWorld::nodes_text() const {
  std::string text;
  for (const auto& node : nodes_) {
    if (!node->up || !node->raft) continue;
    const auto& raft = *node->raft;
    text +=
        fmt::format("; {}: term {}, {}{}{}, last {} of term {}, commit {}, durable {}, view {} {}, {} writes wait",
                    node->number, raft.term(), raft.leads() ? "leads" : "follows", raft.passive() ? ", passive" : "",
                    node->fetching ? ", fetching" : "", raft.log().last(), raft.log().last_term(), raft.commit(),
                    raft.durable(), raft.view_index(), raft.view().text(), node->queue.size());
  }
  return text;
}

bool RaftWorld::settled(std::string* why) {
  auto* leader = pick([](const Node& n) { return n.up && n.raft && n.raft->ready(); });
  *why = "no leader";
  for (const auto& node : nodes_)
    if (node->up && node->raft)
      *why += fmt::format("; {}: {} term {} log {}.{} commit {} stable {}{}{}", node->number,
                          name_of(node->raft->role()), node->raft->term(), node->raft->log().last_term(),
                          node->raft->log().last(), node->raft->commit(), node->raft->stable(),
                          node->raft->in_doubt() ? " in doubt" : "", node->raft->passive() ? " passive" : "");
  if (leader == nullptr) return false;
  const auto& raft = *leader->raft;
  const auto wanted = desired(*leader);
  *why = fmt::format("leader {} view {}{} wants", leader->number, raft.view().text(),
                     raft.view_committed() ? "" : " (uncommitted)");
  for (const auto& one : wanted) *why += fmt::format(" {}", one.at.port);
  if (wanted.empty() || !raft.view_committed() || raft.view().joint()) return false;
  if (!next_step(standing(*leader)).settled()) return false;
  // First of those wanted who votes: of two nodes one does.
  const auto first = std::ranges::find_if(
      wanted, [&](const Replica& one) { return find_replica(raft.view().voters, one.node) != nullptr; });
  if (first == wanted.end() || first->node != leader->uuid) return false;
  for (const auto& one : wanted)
    if (raft.view().find(one.node) == nullptr) return false;
  for (const auto& one : raft.view().voters) {
    const auto* node = find(one.node);
    if (find_replica(wanted, one.node) == nullptr && raft.view().voters.size() <= odd_floor(wanted.size()) &&
        !node->leaving)
      return false;
  }
  return true;
}

}  // namespace chordfs
