#include "tools/sim/ring_world.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/arc/keys.h"
#include "daemon/arc/raft/defects.h"
#include "daemon/arc/view_step.h"
#include "proto/base/check.h"

namespace chordfs {

namespace {
constexpr std::size_t kPortFirst = 6000;
constexpr Duration kRestartAfter = 1s;
constexpr Duration kLookEvery = 250ms;
constexpr Duration kLeavePoll = 500ms;
constexpr std::size_t kToldMax = 6;
/// While clients go on a replica is a little behind at any moment.
constexpr std::uint64_t kBehindMax = 50;

/// The first few lines of a list that may be long.
std::string some_of(const std::vector<std::string>& lines) {
  std::string text;
  for (std::size_t i = 0; i < std::min(lines.size(), kToldMax); ++i) text += lines[i] + "\n";
  if (lines.size() > kToldMax) text += fmt::format("… and {} more\n", lines.size() - kToldMax);
  return text;
}
}  // namespace

/// One process chordfs-node.
class RingWorld::NodeProgram final : public Program {
 public:
  NodeProgram(RingWorld& ring, Index index, Runtime& runtime, Transport& transport)
      : ring_(ring),
        index_(index),
        disk_(ring.disk(index).open(runtime)),
        node_(runtime, transport, *disk_, config(ring, index)) {
    ring_.slots_[index]->program = this;
  }

  awaitable<void> run() override {
    auto result = co_await node_.start();
    started_ = result.has_value();
    if (started_) ring_.world_.note(fmt::format("node {} serves: {}", index_, node_.how_started()));
    ring_.ring_changed_ = true;
    if (started_) result = co_await node_.ended();
    ring_.ended(index_, std::move(result), started_);
  }
  awaitable<void> stop() override { co_await node_.stop(); }

  const Node& node() const { return node_; }
  bool started() const { return started_; }

 private:
  static NodeConfig config(RingWorld& ring, Index index) {
    const auto& slot = *ring.slots_[index];
    NodeConfig config{.self = slot.host->endpoint(),
                      .join = slot.via,
                      .arc_bits = ring.options_.arc_bits,
                      .positions = ring.options_.positions,
                      .replicas = ring.options_.replicas,
                      .relaxed = ring.options_.relaxed,
                      .boot = fmt::format("boot {}", slot.power_losses),
                      .evict_after = ring.options_.evict_after,
                      .sweep_every = ring.options_.sweep_every};
    config.ring.on_change = [&ring] { ring.ring_changed_ = true; };
    return config;
  }

  RingWorld& ring_;
  const Index index_;
  std::unique_ptr<Disk> disk_;
  Node node_;
  bool started_ = false;
};

/// The person at the keyboard, with the command `chordfs leave`.
class RingWorld::Operator final : public Program {
 public:
  Operator(RingWorld& ring, Runtime& runtime, Transport& transport)
      : ring_(ring), runtime_(runtime), transport_(transport), tasks_(runtime) {}

  void leave(Index index) { tasks_.spawn("leave", ask_to_leave(index)); }
  awaitable<void> stop() override {
    tasks_.stop();
    co_await tasks_.join();
  }

 private:
  awaitable<void> ask_to_leave(Index index) {
    while (!ring_.gone(index)) {
      Request request;
      request.header.mutable_leave()->set_force(true);
      if (const auto* node = ring_.node(index)) request.header.set_ring(node->ring_id().bytes());
      std::ignore = co_await transport_.call(ring_.host(index).endpoint(), std::move(request), 1s);
      co_await runtime_.sleep(kLeavePoll);
    }
  }

  RingWorld& ring_;
  Runtime& runtime_;
  Transport& transport_;
  TaskGroup tasks_;
};

RingWorld::RingWorld(RingWorldOptions options) : options_(std::move(options)), world_(options_.seed) {
  stranger_.emplace(*this);
  operator_ = &world_.add_host({.program = [this](Runtime& runtime, Transport& transport) {
    return std::make_unique<Operator>(*this, runtime, transport);
  }});
  operator_->start();
  world_.after_step([this] { check_step(); });
  world_.network().watch(&blocks_);
}

RingWorld::~RingWorld() = default;

// ---- What happens to nodes. ----

RingWorld::Index RingWorld::make_slot(std::vector<Endpoint> via) {
  const Index index = slots_.size();
  auto& slot = *slots_.emplace_back(std::make_unique<Slot>());
  slot.via = std::move(via);
  slot.disk = std::make_unique<SimDisk>(world_.runtime(), options_.disk);
  double rate = 1;
  if (options_.clock_rates)
    rate = 0.8 + static_cast<double>(Rng::derived(options_.seed, "clock rate", index).below(46)) / 100;
  // The checker names nodes by their ports.
  Endpoint endpoint{fmt::format("10.0.0.{}", index), static_cast<std::uint16_t>(kPortFirst + index)};
  slot.host =
      &world_.add_host({.endpoint = endpoint,
                        .clock_rate = rate,
                        .program = [this, index](Runtime& runtime, Transport& transport) -> std::unique_ptr<Program> {
                          const auto& own = *slots_[index];
                          if (own.lent)
                            return stranger_->program(runtime, transport, own.host->endpoint(), own.stranger_via);
                          return std::make_unique<NodeProgram>(*this, index, runtime, transport);
                        }});
  slot.host->on_death([this, &slot](SimHost::Death death) {
    if (std::exchange(slot.lent, false))
      return stranger_->crash(death == SimHost::Death::machine ? Crash::power_loss : Crash::process_kill);
    slot.disk->crash(death == SimHost::Death::machine ? Crash::power_loss : Crash::process_kill);
    slot.power_losses += death == SimHost::Death::machine;
    slot.program = nullptr;
    arcs_.died(slot.host->endpoint().port - kPortFirst);
    world_.note(fmt::format("node {} dies", slot.host->endpoint().port - kPortFirst));
    ring_changed_ = fate_changed_ = true;
  });
  slot.host->start();
  return index;
}

RingWorld::Index RingWorld::found() {
  const Index index = make_slot({});
  bool serves = world_.run_until([&] { return serving(index); }, 1min);
  CHECK(serves, "the first node does not start");
  return index;
}

RingWorld::Index RingWorld::add_node(std::vector<Index> via) {
  CHECK(!via.empty(), "a second ring is not meant");
  std::vector<Endpoint> doors;
  for (auto door : via) doors.push_back(host(door).endpoint());
  world_.note(fmt::format("node {} is to join through node {}", slots_.size(), via.front()));
  return make_slot(std::move(doors));
}

void RingWorld::leave(Index index) {
  auto& slot = *slots_.at(index);
  if (std::exchange(slot.leaving, true)) return;
  world_.note(fmt::format("node {} is asked to leave", index));
  operator_->program_as<Operator>().leave(index);
}

void RingWorld::restart(Index index, std::optional<Index> via) {
  auto& slot = *slots_.at(index);
  if (slot.gone || slot.host->alive()) return;
  if (slot.leaving && has_left(slot)) {
    slot.gone = true;
    return;
  }
  world_.note(fmt::format("node {} starts again", index));
  // Who was to join through one that has left meanwhile is told another.
  bool door_left = std::ranges::any_of(slots_, [&](const auto& other) {
    return other->gone && std::ranges::count(slot.via, other->host->endpoint()) > 0;
  });
  if (door_left && !via && !serving_nodes().empty()) via = serving_nodes().front();
  if (via) slot.via = {host(*via).endpoint()};
  slot.host->start();
  fate_changed_ = true;
}

void RingWorld::wipe(Index index, Index via) {
  auto& slot = *slots_.at(index);
  CHECK(index != via && !slot.gone && !slot.leaving && !slot.host->alive(), "node {} is not to be wiped", index);
  world_.note(fmt::format("the disk of node {} is replaced by an empty one", index));
  if (planted(Defect::amnesia_after_wipe))
    slot.disk->wipe_all_but(keys::node(""), "o");
  else
    slot.disk->wipe();
  ++slot.wipes;
  restart(index, via);
}

bool RingWorld::may_lend() const {
  return connecting_ == 0 && std::ranges::none_of(slots_, [](const auto& slot) {
           const bool knows_ring = slot->disk->durable()->get(keys::node("ring")).has_value();
           return !slot->gone && (slot->lent || slot->leaving || !knows_ring);
         });
}

void RingWorld::lend(Index index, std::vector<Index> via) {
  auto& slot = *slots_.at(index);
  CHECK(may_lend() && !slot.gone && !slot.host->alive(), "the address of node {} is not to be had", index);
  world_.note(fmt::format("a node of another ring stands where node {} stood", index));
  slot.lent = true;
  slot.stranger_via.clear();
  for (auto door : via) slot.stranger_via.push_back(host(door).endpoint());
  slot.host->start();
}

void RingWorld::abandon(Index index) {
  auto& slot = *slots_.at(index);
  world_.note(fmt::format("node {} is dead for good", index));
  slot.gone = true;
  if (slot.host->alive()) slot.host->power_off();
}

/// Its directory is a new node's: it crashed after its last farewell.
bool RingWorld::has_left(const Slot& slot) const {
  return !slot.disk->visible()->get(keys::node("identity")).has_value();
}

void RingWorld::ended(Index index, Result<void> how, bool had_started) {
  auto& slot = *slots_.at(index);
  world_.note(fmt::format("node {} ends: {}", index, how ? "it has left" : how.error().text()));
  bool left = had_started && how.has_value();
  if (left && !slot.leaving) violation(fmt::format("node {} left without being asked", index));
  if (!how && had_started) {
    ++disk_ends_;
    if (!options_.disk_faults && !slot.disk_forgiven)
      violation(fmt::format("node {} stopped by itself: {}", index, how.error().text()));
  }
  world_.after({}, [this, index, left, incarnation = slot.host->incarnation()] {
    auto& ending = *slots_.at(index);
    if (ending.host->incarnation() != incarnation) return;
    if (left) ending.gone = true;
    if (ending.host->alive()) ending.host->crash();
    if (!left) world_.after(kRestartAfter, [this, index] { restart(index); });
  });
}

// ---- What is so. ----

RingWorld::Index RingWorld::index_of(const SimHost& host) const {
  for (Index i = 0; i < slots_.size(); ++i)
    if (slots_[i]->host == &host) return i;
  CHECK(false, "host {} is no node", host.index());
  return 0;
}

const Node* RingWorld::node(Index index) const {
  const auto* program = slots_.at(index)->program;
  return program != nullptr && program->node().arcs() != nullptr ? &program->node() : nullptr;
}

bool RingWorld::serving(Index index) const {
  const auto* program = slots_.at(index)->program;
  return program != nullptr && program->started();
}

std::vector<SimHost*> RingWorld::members() {
  std::vector<SimHost*> hosts;
  for (const auto& slot : slots_)
    if (!slot->gone) hosts.push_back(slot->host);
  return hosts;
}

std::vector<RingWorld::Index> RingWorld::serving_nodes() const {
  std::vector<Index> nodes;
  for (Index i = 0; i < slots_.size(); ++i)
    if (serving(i) && !slots_[i]->leaving) nodes.push_back(i);
  return nodes;
}

std::vector<Endpoint> RingWorld::endpoints() const {
  std::vector<Endpoint> all;
  for (const auto& slot : slots_)
    if (!slot->gone && !slot->lent) all.push_back(slot->host->endpoint());
  return all;
}

RingSnapshot RingWorld::snapshot(std::optional<Index> without) const {
  RingSnapshot snapshot;
  for (Index i = 0; i < slots_.size(); ++i) {
    const auto* program = slots_[i]->program;
    if (program == nullptr || program->node().ring() == nullptr) continue;
    if (without && (i == *without || slots_[i]->leaving)) continue;
    for (auto& view : program->node().ring()->members()) snapshot.live.push_back(std::move(view));
  }
  return snapshot;
}

bool RingWorld::may_fail(Index index) const {
  auto rest = snapshot(index);
  if (rest.live.empty()) return false;
  if (mode_ == RingMode::ordinary) return check_invariant(rest, mode_).empty();
  // A small ring's joiner may hold a list of a single member: nobody dies while anybody comes or goes.
  for (const auto& slot : slots_)
    if (!slot->gone && (slot->leaving || (slot->program != nullptr && !slot->program->started()))) return false;
  return check_invariant(rest, mode_).empty();
}

bool RingWorld::may_leave(Index index) const {
  auto rest = snapshot(index);
  return !rest.live.empty() && serving(index) && check_invariant(rest, RingMode::small).empty();
}

/// What keeps a node from leaving.
std::string RingWorld::parts_text(Index index) const {
  const auto* node = this->node(index);
  if (node == nullptr) return ": it is down";
  std::string text;
  for (ArcNumber number = 0; number < map().count(); ++number)
    if (const auto arc = node->arcs()->find(number); arc && (arc->raft || arc->retiring || arc->replacing))
      text += fmt::format("{}arc {}{}{}{}{}{}", text.empty() ? ": " : ", ", number,
                          arc->raft ? " view " + arc->raft->view().text() : "", arc->retiring ? " retiring" : "",
                          arc->replacing ? " replacing" : "", arc->fetching ? " fetching" : "",
                          arc->applying ? " applying" : "");
  return text;
}

std::string RingWorld::unsettled_ring() const {
  std::vector<std::string> wrong;
  for (Index i = 0; i < slots_.size(); ++i) {
    const auto& slot = *slots_[i];
    if (slot.gone) continue;
    if (slot.leaving)
      wrong.push_back(fmt::format("node {} has not left yet{}", i, parts_text(i)));
    else if (!serving(i))
      wrong.push_back(fmt::format("node {} does not serve", i));
  }
  if (wrong.empty())
    for (const auto& one : check_ideal(snapshot())) wrong.push_back(one.rule + ": " + one.what);
  return some_of(wrong);
}

/// Distinct nodes clockwise from the arc's point: who should hold it.
std::vector<RingWorld::Index> RingWorld::holders(ArcNumber arc) const {
  std::map<Id, Index> positions;
  for (Index i = 0; i < slots_.size(); ++i)
    if (const auto* node = this->node(i); node != nullptr && node->ring() != nullptr)
      for (const auto& view : node->ring()->members()) positions[view.self.id] = i;
  std::vector<Index> order;
  auto next = positions.lower_bound(map().point(arc));
  for (std::size_t seen = 0; seen < positions.size(); ++seen, ++next) {
    if (next == positions.end()) next = positions.begin();
    if (std::ranges::count(order, next->second) == 0) order.push_back(next->second);
  }
  order.resize(std::min(order.size(), static_cast<std::size_t>(options_.replicas)));
  return order;
}

std::string RingWorld::unsettled() const {
  if (auto wrong = unsettled_ring(); !wrong.empty()) return wrong;
  std::vector<std::string> wrong;
  for (ArcNumber arc = 0; arc < map().count(); ++arc)
    if (auto one = unsettled_arc(arc); !one.empty()) wrong.push_back(std::move(one));
  return some_of(wrong);
}

namespace {
/// What a leader knows of its members.
std::string members_text(const Raft& raft) {
  if (!raft.leads()) return {};
  auto text = fmt::format(", term {}, commit {} of {}", raft.term(), raft.commit(), raft.log().last());
  for (const auto& member : raft.view().everybody())
    if (const auto* known = raft.progress(member))
      text += fmt::format("; {} matches {}{}{}, silent for {}", member.at.port, known->match,
                          known->probing ? " probing" : "", known->snapshot ? " snapshot" : "", known->silent);
  return text;
}
}  // namespace

std::string RingWorld::unsettled_arc(ArcNumber number) const {
  const auto order = holders(number);
  std::optional<Index> leader;
  std::map<Index, const Raft*> replicas;
  for (Index i = 0; i < slots_.size(); ++i) {
    const auto* node = this->node(i);
    if (node == nullptr) continue;
    const bool wanted = std::ranges::count(order, i) > 0;
    const auto arc = node->arcs()->find(number);
    const bool has = arc && arc->raft;
    if (has != wanted)
      return fmt::format("arc {}: node {} {} a replica", number, i, has ? "should not have" : "should have");
    if (!has) {
      if (!node->blocks()->list(number).empty())
        return fmt::format("arc {}: node {} keeps blocks and is no member", number, i);
      continue;
    }
    const auto& raft = *arc->raft;
    replicas[i] = &raft;
    if (arc->broken) return fmt::format("arc {}: node {}: {}", number, i, arc->broken->text());
    if (raft.passive() || arc->replacing) return fmt::format("arc {}: the replica of node {} is not whole", number, i);
    if (raft.view().joint() || !raft.view_committed())
      return fmt::format("arc {}: node {} has the view {}", number, i, raft.view().text());
    if (raft.view().voters.size() != odd_floor(order.size()) || raft.view().everybody().size() != order.size())
      return fmt::format("arc {}: node {} has the view {}{}", number, i, raft.view().text(), members_text(raft));
    if (raft.leads()) leader = i;
  }
  if (!leader) return fmt::format("arc {} has no leader", number);
  const auto& first = *replicas.at(*leader);
  // The first of those that vote leads.
  for (auto i : order) {
    if (i == *leader) break;
    if (first.view().votes(replicas.at(i)->self()))
      return fmt::format("arc {} is led by node {}, and node {} comes first", number, *leader, i);
  }
  for (const auto& [i, raft] : replicas)
    if (raft->commit() + kBehindMax < first.commit() || raft->term() != first.term())
      return fmt::format("arc {}: node {} is behind", number, i);
  return {};
}

std::string RingWorld::settle(Duration limit) {
  const Time until = world_.now() + limit;
  std::string wrong = unsettled(), told;
  while (!wrong.empty() && world_.now() < until) {
    if (wrong != std::exchange(told, wrong)) spdlog::debug("at {} not settled: {}", time_text(), wrong);
    world_.run_for(kLookEvery);
    wrong = unsettled();
  }
  return wrong;
}

std::string RingWorld::settle_ring(Duration limit) {
  const Time until = world_.now() + limit;
  std::string wrong = unsettled_ring();
  while (!wrong.empty() && world_.now() < until) {
    world_.run_for(kLookEvery);
    wrong = unsettled_ring();
  }
  return wrong;
}

// ---- Checks ----

std::string RingWorld::time_text() const {
  return fmt::format("{:.6f} s", std::chrono::duration<double>(world_.elapsed()).count());
}

void RingWorld::violation(std::string text) {
  if (violations_.size() >= kViolationsMax) return;
  violations_.push_back(fmt::format("at {}: {}", time_text(), text));
  world_.note("VIOLATION " + text);
  if (violations_.size() == 1) trace_of_violation_ = ring_text() + world_.trace().text();
}

std::string RingWorld::ring_text() const {
  auto name = [](const Position& p) { return fmt::format("{}/{}", p.at.port - kPortFirst, p.index); };
  auto ring = snapshot().live;
  std::ranges::sort(ring, {}, [](const View& view) { return view.self.id; });
  std::string text;
  for (const auto& view : ring) {
    text += fmt::format("{} after {}:", name(view.self), name(view.predecessor));
    for (const auto& successor : view.successors) text += " " + name(successor);
    text += "\n";
  }
  return text;
}

void RingWorld::check_step() {
  arcs_.look(world_.only_stepped());
  transactions_.look();
  if (std::exchange(ring_changed_, false) && options_.check_ring) check_ring();
  fate_changed_ = false;
}

void RingWorld::check_ring() {
  ++ring_checks_;
  auto now = snapshot();
  // A leave may make it small again, in order: may_leave allowed it.
  bool someone_leaves = std::ranges::any_of(slots_, [](const auto& slot) { return slot->leaving; });
  if (nodes_of(principals(now)) > now.successor_nodes)
    mode_ = RingMode::ordinary;
  else if (someone_leaves)
    mode_ = RingMode::small;
  auto broken = check_invariant(now, mode_);
  if (!broken.empty()) violation("the ring's invariant: " + text_of(broken));
}

}  // namespace chordfs
