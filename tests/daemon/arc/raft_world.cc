// RaftWorld: time, disks, network.
#include "tests/daemon/arc/raft_world.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/arc/raft/defects.h"

namespace chordfs {

namespace {
constexpr int kUnstablePatience = 10;
constexpr auto kLater = [](const auto& a, const auto& b) {
  return std::pair(a.at, a.order) > std::pair(b.at, b.order);
};
}  // namespace

RaftWorld::RaftWorld(std::uint64_t seed, Durability durability)
    : seed_(seed), durability_(durability), rng_(Rng::derived(seed, "raft")), hang_rng_(Rng::derived(seed, "hang")) {
  leases_ = seed % 3 == 0;
  draw_plan();
}
RaftWorld::~RaftWorld() = default;

void RaftWorld::note(const std::string& what) {
  for (unsigned char c : what) trace_hash_ = (trace_hash_ ^ c) * 0x100000001b3;
  trace_hash_ ^= static_cast<std::uint64_t>(now_.time_since_epoch().count());
  if (verbose_) fmt::print("{:9.3f} {}\n", static_cast<double>((now_ - Time()).count()) / 1e9, what);
}

void RaftWorld::fail(std::string what) {
  note("VIOLATION " + what);
  if (!violation_)
    violation_ = fmt::format("seed {} at {:.3f}: {}", seed_, static_cast<double>((now_ - Time()).count()) / 1e9, what);
}

void RaftWorld::at(Duration delay, std::function<void()> run) {
  events_.push_back({now_ + delay, ++order_, std::move(run)});
  std::ranges::push_heap(events_, kLater);
}

/// Nothing that was meant for an incarnation happens to the next. A paused node does it when it wakes.
void RaftWorld::on_node(Node& node, Duration delay, std::function<void(Node&)> run) {
  at(delay, [this, &node, incarnation = node.incarnation, run = std::move(run)]() mutable {
    if (!node.up || node.incarnation != incarnation) return;
    if (node.paused_until > now_) return on_node(node, node.paused_until - now_, std::move(run));
    run(node);
    settle(node);
  });
}

bool RaftWorld::run_until(Time end) {
  while (!violation_ && !events_.empty() && events_.front().at <= end) {
    std::ranges::pop_heap(events_, kLater);
    auto event = std::move(events_.back());
    events_.pop_back();
    now_ = event.at;
    event.run();
  }
  if (!violation_) now_ = end;
  return !violation_;
}

RaftWorld::Node& RaftWorld::add_node() {
  auto& node = *nodes_.emplace_back(std::make_unique<Node>());
  node.number = static_cast<int>(nodes_.size());
  node.uuid = Uuid(static_cast<std::uint64_t>(node.number), rng_.next());
  node.place = rng_.next();
  by_uuid_[node.uuid] = &node;
  return node;
}

void RaftWorld::start(Node& node) {
  note(fmt::format("start {}", node.number));
  node.up = true;
  ++node.incarnation;
  node.rate = healing_ ? 1 : 0.8 + 0.05 * static_cast<double>(rng_.below(10));
  if (node.disk.replica) boot_raft(node);
  on_node(node, rng_.between(0ms, kTick), [this](Node& n) { tick(n); });
  on_node(node, rng_.between(0ms, 300ms), [this](Node& n) { view_step(n); });
}

void RaftWorld::boot_raft(Node& node) {
  node.lost_branch = false;
  if (std::exchange(node.lost_power, false)) {  // Arcs::doubt.
    const auto term = node.disk.hard.term + 1;
    node.disk.hard = {.term = term, .vote = {}, .doubt = term};
    sync(node);
  }
  const auto& disk = node.disk;
  auto log = disk.log();
  if (!log) return fail("a view on disk cannot be read");
  node.born = ++order_;
  node.state = disk.installing ? State() : disk.state;
  node.fetching = false;
  node.was_leader = false;
  node.checked_commit = 0;
  node.whole_at.clear();
  if (disk.hard.term < node.promised_term)
    fail(fmt::format("I6: node {} spoke in term {} and wakes in {}", node.number, node.promised_term, disk.hard.term));
  node.raft = std::make_unique<Raft>(
      Raft::Start{.arc = 7,
                  .self = {node.uuid, {"", static_cast<std::uint16_t>(node.number)}, disk.generation},
                  .hard = disk.hard,
                  .log = std::move(*log),
                  .applied = disk.installing ? disk.base.index : disk.state.index,
                  .stable = disk.base.stable,
                  .passive = disk.installing},
      [this](std::uint64_t below) { return rng_.below(below); }, RaftOptions{.relaxed = relaxed()});
}

void RaftWorld::crash(Node& node, bool keep_something) {
  if (!node.up) return;
  ++numbers_.crashes;
  auto kept = keep_something && rng_.chance(0.5) ? rng_.below(node.queue.size() + 1) : 0;
  note(fmt::format("crash {} ({} of {} writes stay)", node.number, kept, node.queue.size()));
  for (std::size_t i = 0; i < kept; ++i) put(node, node.queue[i]);
  // Records are written without sync: any earlier state of them may be what is left, if no snapshot is on its way.
  const bool replaced =
      std::ranges::any_of(node.queue, [](const auto& w) { return w.kind != DiskWrite::Kind::log || w.write.new_base; });
  if (node.raft && !replaced && !node.disk.installing && node.disk.generation == node.raft->self().generation &&
      rng_.chance(0.5) && node.state.index <= node.disk.last())
    node.disk.state = node.state;
  node.queue.clear();
  node.flushing = false;
  node.up = false;
  node.stopped_at = now_;
  node.paused_until = {};
  ++node.incarnation;
  erase_replica(node);
}

void RaftWorld::lose_power(Node& node) {
  ++numbers_.power_losses;
  crash(node);
  const auto kept = rng_.below(node.unsynced.size() + 1);
  note(fmt::format("power of {} is lost ({} of {} writes stay)", node.number, kept, node.unsynced.size()));
  auto late = std::exchange(node.unsynced, {});
  node.disk = node.synced;
  for (std::size_t i = 0; i < kept; ++i) put_into(node, late[i]);
  sync(node);
  node.lost_power = true;
}

/// Arcs::roll_back.
void RaftWorld::roll_back(Node& node) {
  const auto from = *node.raft->diverged();
  ++numbers_.rolled_back;
  note(fmt::format("{} rolls back to before {}", node.number, from));
  if (!forgets() || from <= stable_)
    return fail(fmt::format("I2: node {} takes back the committed entry {}", node.number, from));
  crash(node, false);
  auto& disk = node.disk;
  while (!disk.entries.empty() && disk.last() >= from) disk.entries.pop_back();
  disk.installing = true;
  disk.state = {};
  sync(node);
  at(1ms, [this, &node, inc = node.incarnation] {
    if (!node.up && !node.wiped && !node.left && node.incarnation == inc) start(node);
  });
}

/// From memory.
void RaftWorld::erase_replica(Node& node) {
  node.raft.reset();
  node.writes.clear();
  node.reads.clear();
  node.fetching = false;
  node.lost_branch = false;
}

// ---- Disk ----

void RaftWorld::enqueue(Node& node, DiskWrite write) {
  write.born = node.born;
  node.queue.push_back(std::move(write));
  flush(node);
}

void RaftWorld::flush(Node& node) {
  if (node.flushing || node.queue.empty()) return;
  node.flushing = true;
  const bool hangs = node.hung_until > now_;
  const auto count = hangs && !node.hangs_whole ? 1 : node.queue.size();
  auto took = rng_.between(100us, plan_.fsync_max / 8);
  if (rng_.chance(0.1)) took = rng_.between(1ms, plan_.fsync_max);
  if (plan_.slow_disks) took = rng_.between(20ms, 600ms);
  if (relaxed() && std::ranges::all_of(node.queue, [](const DiskWrite& one) {
        return one.kind == DiskWrite::Kind::log && one.write.may_be_late();
      }))
    took = rng_.between(10us, 300us);
  if (hangs) took = node.hangs_whole ? node.hung_until - now_ : hang_rng_.between(200ms, 900ms);
  at(took, [this, &node, count, incarnation = node.incarnation] {
    if (node.incarnation != incarnation) return;
    for (std::size_t i = 0; i < count && !violation_; ++i) {
      auto write = std::move(node.queue.front());
      node.queue.pop_front();
      put(node, write);
      if (write.kind == DiskWrite::Kind::log)
        on_node(node, 0ms, [born = write.born, id = write.write.id](Node& n) {
          if (n.raft && n.born == born) n.raft->persisted(id);
        });
    }
    node.flushing = false;
    flush(node);
  });
}

void RaftWorld::put(Node& node, DiskWrite& write) {
  if (!relaxed()) return put_into(node, write);
  const bool late = write.kind == DiskWrite::Kind::log && write.write.may_be_late();
  if (late) node.unsynced.push_back(write);
  put_into(node, write);
  if (!late) sync(node);
}

void RaftWorld::sync(Node& node) {
  if (!relaxed()) return;
  node.synced = node.disk;
  node.unsynced.clear();
}

void RaftWorld::put_into(Node& node, DiskWrite& write) {
  auto& disk = node.disk;
  auto judged = [&](const std::string& wrong) {
    if (!wrong.empty()) fail(fmt::format("node {}: {}", node.number, wrong));
  };
  if (write.kind == DiskWrite::Kind::gone) {
    if (disk.generation != write.generation) return;
    const auto highest = disk.highest;
    disk = {};
    disk.highest = highest;
    return;
  }
  if (write.kind == DiskWrite::Kind::create) {
    disk.state = {};
    disk.installing = false;
    return judged(disk.create(write.generation));
  }
  judged(disk.put(write.write, write.base,
                  [&](std::uint64_t index, const LogEntry& entry) { check_erased(node, index, entry); }));
  if (write.write.new_base) {
    disk.state = write.state;
    disk.installing = false;
  }
}

// ---- What a node does after every event ----

void RaftWorld::settle(Node& node) {
  if (!node.raft || violation_) return;
  auto& raft = *node.raft;
  if (raft.gone()) {
    note(fmt::format("gone {}", node.number));
    enqueue(
        node,
        {.kind = DiskWrite::Kind::gone, .generation = raft.self().generation, .write = {}, .base = {}, .state = {}});
    erase_replica(node);
    return;
  }
  while (auto write = raft.take_write()) {
    DiskWrite record{.generation = raft.self().generation, .write = std::move(*write), .base = {}, .state = {}};
    if (record.write.new_base) {
      record.base = Base::of(raft);
      record.state = node.state;
    }
    enqueue(node, std::move(record));
  }
  if (raft.diverged()) return roll_back(node);
  check_commits(node);
  apply(node);
  auto wanted = raft.take_wanted_snapshot();
  if (!wanted && raft.passive() && raft.leader()) wanted = raft.leader();
  if (wanted && relaxed() && wanted->node == node.uuid) wanted.reset();
  if (wanted) fetch(node, *wanted);
  for (auto& out : raft.take_messages()) transmit(node, out);
  check(node);
}

void RaftWorld::apply(Node& node) {
  auto& raft = *node.raft;
  if (relaxed() && raft.passive()) return;
  while (node.state.index < raft.committed_here() && !violation_) {
    const auto index = node.state.index + 1;
    const auto& entry = raft.log().at(index);
    node.state.index = index;
    auto mix = node.state.hash ^ (entry.term * 0x9e3779b97f4a7c15) ^ static_cast<std::uint64_t>(entry.kind);
    for (unsigned char c : entry.payload) mix = (mix ^ c) * 0x100000001b3;
    node.state.hash = mix * 0xbf58476d1ce4e5b9;
    if (is_operation(entry.kind)) node.state.registers[entry.payload.at(0)] = entry.payload.substr(1);
    // Applied is committed, and the same everywhere (I2, I4).
    if (forgets() && index > raft.stable() && (index >= committed_.size() || committed_[index].term > entry.term))
      node.lost_branch = true;
    if (node.lost_branch) {
      node.writes.erase(index);
      continue;
    }
    if (index >= committed_.size())
      return fail(fmt::format("I2: node {} applied {}, which nobody committed", node.number, index));
    auto& truth = committed_[index];
    if (truth.term != entry.term) return fail(fmt::format("I2: node {} applied another entry {}", node.number, index));
    if (!truth.state_hash) truth.state_hash = node.state.hash;
    if (*truth.state_hash != node.state.hash) return fail(fmt::format("I4: node {} differs at {}", node.number, index));
    for (auto [first, last] = node.writes.equal_range(index); first != last; ++first) {
      const auto& pending = first->second;
      if (pending.term == entry.term) {
        history_.returned(now_, pending.id);
        ++numbers_.ok;
      } else {
        history_.forget(pending.id);
        ++numbers_.failed;
      }
      client_done(pending.client, pending.id);
    }
    node.writes.erase(index);
  }
  std::erase_if(node.reads, [&](const PendingRead& read) {
    if (!raft.leads() || raft.term() != read.term) {
      history_.forget(read.id);
      ++numbers_.failed;
      client_done(read.client, read.id);
      return true;
    }
    if (raft.confirmed_round() < read.round || node.state.index < read.index) return false;
    history_.returned_read(now_, read.id, node.state.registers[read.key]);
    ++numbers_.ok;
    client_done(read.client, read.id);
    return true;
  });
}

void RaftWorld::tick(Node& node) {
  on_node(node, Duration(static_cast<std::int64_t>(static_cast<double>(kTick.count()) / node.rate)),
          [this](Node& n) { tick(n); });
  if (!node.raft) return;
  node.raft->tick();
  const auto cut_to = std::min(node.state.index, node.raft->stable());
  if (cut_to > node.raft->log().base() && rng_.chance(plan_.cut) && std::ranges::none_of(node.queue, [](const auto& w) {
        return w.kind != DiskWrite::Kind::log || w.write.new_base;
      })) {
    // Records are synced, then the log is cut, here and on disk.
    auto& disk = node.disk;
    if (disk.generation != node.raft->self().generation || node.state.index > disk.last()) return;
    disk.state = node.state;
    const auto index = node.raft->log().base() + 1 + rng_.below(cut_to - node.raft->log().base());
    const auto term = *node.raft->log().term_at(index);
    const Base base{index, term, node.raft->log().view_index_at(index), index, node.raft->log().view_at(index)};
    node.raft->cut(index);
    while (disk.base.index < index) {
      disk.entries.pop_front();
      ++disk.base.index;
    }
    disk.base = base;
    sync(node);
  }
}

// ---- Network ----

RaftWorld::Node* RaftWorld::find(const Uuid& uuid) {
  auto found = by_uuid_.find(uuid);
  return found == by_uuid_.end() ? nullptr : found->second;
}
const RaftWorld::Node* RaftWorld::find(const Uuid& uuid) const {
  auto found = by_uuid_.find(uuid);
  return found == by_uuid_.end() ? nullptr : found->second;
}

bool RaftWorld::linked(const Node& from, const Node& to) const {
  return !cut_links_.contains({from.number, to.number});
}

Duration RaftWorld::delay() {
  if (rng_.chance(plan_.late)) return rng_.between(20ms, 400ms);
  return rng_.between(300us, 8ms);
}

void RaftWorld::transmit(Node& from, const Raft::Outgoing& out) {
  ++numbers_.messages;
  check_sent(from, out);
  auto* to = find(out.to.node);
  if (to == nullptr || violation_) return;
  auto message = std::make_shared<const wire::RaftMessage>(out.message);
  const int copies = rng_.chance(plan_.loss) ? 0 : (rng_.chance(plan_.duplication) ? 2 : 1);
  for (int i = 0; i < copies; ++i)
    at(delay(), [this, &from, to, message] {
      if (!to->up || !linked(from, *to)) return;
      on_node(*to, 0ms, [this, &from, message](Node& n) { deliver(n, from.uuid, *message); });
    });
}

void RaftWorld::deliver(Node& to, const Uuid& from, const wire::RaftMessage& message) {
  const Generation meant{message.to_term(), message.to_index()};
  heard_[{to.number, find(from)->number}] = now_;
  const bool makes = message.kind() == wire::RaftMessage::APPEND || message.kind() == wire::RaftMessage::SNAPSHOT;
  auto highest = to.disk.highest;
  for (const auto& write : to.queue)
    if (write.kind == DiskWrite::Kind::create) highest = std::max(highest, write.generation);
  if (makes && meant > highest) {
    note(fmt::format("create {} generation {}.{}", to.number, meant.term, meant.index));
    erase_replica(to);
    to.born = ++order_;
    to.state = {};
    to.checked_commit = 0;
    to.was_leader = false;
    to.promised_term = 0;
    enqueue(to, {.kind = DiskWrite::Kind::create, .generation = meant, .write = {}, .base = {}, .state = {}});
    to.raft = std::make_unique<Raft>(
        Raft::Start{.arc = 7,
                    .self = {to.uuid, {"", static_cast<std::uint16_t>(to.number)}, meant},
                    .hard = {},
                    .log = RaftLog(0, 0, ArcView{}, 0)},
        [this](std::uint64_t below) { return rng_.below(below); }, RaftOptions{.relaxed = relaxed()});
  }
  if (to.raft) to.raft->step(from, message);
}

/// The follower reads the leader's records; until they are there it does not campaign.
void RaftWorld::fetch(Node& node, const Replica& leader) {
  if (node.fetching) return;
  node.fetching = true;
  node.raft->set_passive(true);
  const auto took = healing_ ? rng_.between(5ms, 50ms) : rng_.between(5ms, 600ms);
  on_node(node, took, [this, born = node.born, leader](Node& n) {
    if (!n.raft || n.born != born) return;
    n.fetching = false;
    n.raft->set_passive(n.disk.installing);
    auto* source = find(leader.node);
    if (source == nullptr || !source->up || !source->raft || source->raft->self() != leader || !linked(*source, n) ||
        !linked(n, *source))
      return;
    const auto& log = source->raft->log();
    const auto index = source->state.index;
    const auto term = log.term_at(index);
    const auto stable = source->raft->stable();
    if (!term || index <= n.state.index || source->raft->passive()) return;
    // It soon will be; unless just this replica is needed to say so (Snapshots::open is as patient).
    if (stable < index && source->raft->ready() && ++n.refused_unstable < kUnstablePatience) return;
    n.refused_unstable = 0;
    if (!n.raft->install(index, *term, log.view_at(index), log.view_index_at(index), stable)) return;
    ++numbers_.snapshots;
    note(fmt::format("install {} at {}", n.number, index));
    n.state = source->state;
    n.raft->set_passive(false);
    n.writes.clear();
    n.lost_branch = false;
  });
}

}  // namespace chordfs
