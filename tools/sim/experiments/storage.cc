// Arcs, replication and repair under a year of churn: what is moved, lost, and how evenly it lies.
//
// Pure decisions of production, without their messages: who follows whom (follow), who is to hold an arc (choose), the
// next step from one view to the next (next_step). An arc is one number of bytes, a copy takes its time on the link of
// the node that receives it, and everything else takes none.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "daemon/arc/view_step.h"
#include "daemon/node/order.h"
#include "proto/base/check.h"
#include "tools/sim/experiments/experiment.h"
#include "tools/sim/experiments/static_ring.h"
#include "tools/sim/world.h"

namespace chordfs {

namespace {
constexpr Duration kDay = 24h;
constexpr Duration kEvictAfter = 60s;       // chordfs-node --evict-after
constexpr Duration kReplacedAfter = 1h;     // Mean, exponential.
constexpr Duration kLifetime = 120 * kDay;  // Mean, exponential.
constexpr double kArcBytes = 4.0 * (1 << 30);
constexpr double kBytesASecond = 100e6;  // Of the link of a node that receives copies.
constexpr std::array kPositions = {1, 2, 4, 8, 16, 64};

struct Setting {
  std::uint64_t seed;
  std::size_t nodes;
  int positions;
  int arc_bits;
  int replicas;
  Duration duration;
};

class Store {
 public:
  explicit Store(const Setting& setting)
      : setting_(setting), world_({.seed = setting.seed, .trace_lines = 1}), arcs_(ArcMap(setting.arc_bits).count()) {
    while (born_ < setting_.nodes) join();
    for (ArcNumber a = 0; a < arcs_.size(); ++a) {
      auto& arc = arcs_[a];
      for (auto& one : desired(a)) arc.view.voters.push_back({one.node, one.at, {0, ++arc.generations}});
      for (const auto& one : arc.view.voters) {
        arc.complete.insert(one.node);
        nodes_.at(one.node).arcs.insert(a);
      }
      arc.leader = arc.view.voters.front();
    }
    stored_ = static_cast<double>(arcs_.size()) * setting_.replicas * kArcBytes;
  }

  /// Copies that each node is to hold.
  Sample balance() const {
    Sample sample;
    for (const auto& [uuid, node] : nodes_)
      if (node.alive) sample.add(static_cast<double>(node.arcs.size()));
    return sample;
  }

  void run(Progress& progress) {
    running_ = true;
    for (auto& [uuid, node] : nodes_) live_out(uuid);
    for (int day = 1; day * kDay <= setting_.duration; ++day, progress.step()) world_.run_for(kDay);
    for (auto& arc : arcs_) account(arc);
  }

  std::size_t ends = 0, leaves = 0, lost = 0, blocked = 0;
  double moved = 0, least = 0;  ///< Bytes.
  Sample thin_for;              ///< Seconds, each time that an arc had fewer than r complete copies.
  double thin_share() const {
    double sum = 0;
    for (const auto& arc : arcs_) sum += arc.thin_seconds;
    return sum / static_cast<double>(arcs_.size()) / std::chrono::duration<double>(setting_.duration).count();
  }
  double stored() const { return stored_; }

 private:
  struct Node {
    Endpoint at;
    bool alive = true, evicted = false, leaving = false;
    std::set<ArcNumber> arcs;  ///< In whose views it is.
    Time link_free{};
  };
  struct Arc {
    ArcView view;
    Replica leader;
    std::uint64_t generations = 0;
    std::set<Uuid> complete;
    std::optional<Uuid> copying;
    std::optional<Time> thin_since;
    double thin_seconds = 0;
  };

  // ---- Nodes. ----

  Uuid join() {
    const Uuid uuid = StaticRing::identity(setting_.seed, born_);
    auto& node = nodes_[uuid];
    node.at = StaticRing::endpoint(born_++);
    for (int p = 0; p < setting_.positions; ++p) {
      const Position position{position_id(uuid, static_cast<std::uint32_t>(p)), uuid, static_cast<std::uint32_t>(p),
                              node.at};
      if (links_.empty()) {
        links_[position.id] = position;
        continue;
      }
      auto& link = before(position.id)->second;
      links_[position.id] = link;
      link = position;
    }
    return uuid;
  }
  void depart(const Uuid& uuid) {
    for (int p = 0; p < setting_.positions; ++p) {
      const Id id = position_id(uuid, static_cast<std::uint32_t>(p));
      const auto next = links_.at(id);
      before(id)->second = next;
      links_.erase(id);
    }
  }
  Links::iterator before(const Id& id) {
    auto at = links_.lower_bound(id);
    return std::prev(at == links_.begin() ? links_.end() : at);
  }
  /// Arcs whose first nodes may be others now that these positions have come or gone.
  std::set<ArcNumber> near(const Uuid& uuid) {
    std::set<ArcNumber> found;
    const ArcMap map(setting_.arc_bits);
    for (int p = 0; p < setting_.positions; ++p) {
      const Id to = position_id(uuid, static_cast<std::uint32_t>(p));
      std::set<Uuid> met;
      auto at = before(to);
      for (std::size_t i = 0; i < links_.size() && met.size() <= wanted(); ++i) {
        const auto earlier = before(at->first);
        if (earlier->second.node != uuid) met.insert(earlier->second.node);
        at = earlier;
      }
      const Id from = at->first;
      ArcNumber arc = map.arc_of(from);
      do {
        if (owned(from, map.point(arc), to)) found.insert(arc);
        arc = (arc + 1) % map.count();
      } while (arc != (map.arc_of(to) + 1) % map.count());
    }
    return found;
  }
  std::size_t wanted() const { return static_cast<std::size_t>(setting_.replicas) + kOrderSpare; }

  void live_out(const Uuid& uuid) {
    world_.after(world_.rng().exponential(kLifetime), [this, uuid] { end(uuid); });
  }
  void end(const Uuid& uuid) {
    ++ends;
    auto& node = nodes_.at(uuid);
    least += static_cast<double>(node.arcs.size()) * kArcBytes;
    world_.after(world_.rng().exponential(kReplacedAfter), [this] {
      const auto newcomer = join();
      live_out(newcomer);
      for (auto arc : near(newcomer)) look(arc);
    });
    if (world_.rng().chance(0.5)) {
      ++leaves;
      node.leaving = true;
      for (auto arc : std::set(node.arcs)) look(arc);
      gone_if_empty(uuid);
      return;
    }
    node.alive = false;
    for (auto arc : std::set(node.arcs)) struck(arc);
    world_.after(kEvictAfter, [this, uuid] {
      nodes_.at(uuid).evicted = true;
      const auto arcs = near(uuid);
      depart(uuid);
      for (auto arc : arcs) look(arc);
      for (auto arc : std::set(nodes_.at(uuid).arcs)) look(arc);
    });
  }
  void gone_if_empty(const Uuid& uuid) {
    auto& node = nodes_.at(uuid);
    if (!node.leaving || !node.arcs.empty() || !node.alive) return;
    node.alive = false;
    node.evicted = true;
    const auto arcs = near(uuid);
    depart(uuid);
    for (auto arc : arcs) look(arc);
  }

  // ---- Arcs. ----

  bool live(const Replica& one) const { return nodes_.at(one.node).alive; }

  Replicas desired(ArcNumber arc) const {
    std::vector<Candidate> candidates;
    std::set<Uuid> met;
    for (const auto& p : follow(links_, ArcMap(setting_.arc_bits).point(arc), wanted()).positions)
      if (met.insert(p.node).second)
        candidates.push_back({.peer = to_peer(p.node, p.at), .leaving = nodes_.at(p.node).leaving});
    Replicas wanted;
    for (const auto& peer : choose(candidates, setting_.replicas)) {
      Replica one;
      CHECK(parse(peer, one.node, one.at));
      wanted.push_back(std::move(one));
    }
    return wanted;
  }

  /// One of its members has just died.
  void struck(ArcNumber number) {
    auto& arc = arcs_[number];
    if (std::ranges::none_of(arc.complete, [&](const Uuid& uuid) { return nodes_.at(uuid).alive; })) {
      ++lost;
      begin_anew(number);
    } else if (!majority(arc.view, [&](const Replica& one) { return live(one); })) {
      // The last copies are there, and no majority is: somebody has to say so by hand.
      ++blocked;
      begin_anew(number);
    }
    account(arc);
  }
  /// With whoever has a copy, or empty.
  void begin_anew(ArcNumber number) {
    auto& arc = arcs_[number];
    Replicas survivors;
    for (const auto& one : arc.view.everybody())
      if (live(one) && arc.complete.contains(one.node)) survivors.push_back(one);
    if (survivors.empty()) {
      const auto first = desired(number).front();
      survivors.push_back({first.node, first.at, {0, ++arc.generations}});
      arc.complete.insert(first.node);
    }
    survivors.resize(1);
    adopt(number, {.voters = survivors});
    arc.leader = survivors.front();
  }

  void adopt(ArcNumber number, ArcView view) {
    auto& arc = arcs_[number];
    for (auto& one : view.learners)
      if (one.generation == Generation{}) one.generation = {0, ++arc.generations};
    const auto old = arc.view.everybody();
    arc.view = std::move(view);
    for (const auto& one : arc.view.everybody()) nodes_.at(one.node).arcs.insert(number);
    for (const auto& one : old) {
      if (arc.view.find(one.node) != nullptr) continue;
      nodes_.at(one.node).arcs.erase(number);
      arc.complete.erase(one.node);
      // Not from within this arc's own change.
      world_.after({}, [this, uuid = one.node] { gone_if_empty(uuid); });
    }
  }

  void look(ArcNumber number) {
    auto& arc = arcs_[number];
    constexpr int kStepsMax = 100;
    for (int i = 0; i < kStepsMax; ++i) {
      if (!live(arc.leader) || !arc.view.votes(arc.leader)) {
        const auto voters = arc.view.all_voters();
        auto next = std::ranges::find_if(
            voters, [&](const Replica& one) { return live(one) && arc.complete.contains(one.node); });
        if (next == voters.end()) break;
        arc.leader = *next;
      }
      const Standing standing{.view = arc.view,
                              .committed = majority(arc.view, [&](const Replica& one) { return live(one); }),
                              .self = arc.leader,
                              .desired = desired(number),
                              .live = [&](const Replica& one) { return live(one); },
                              .dead = [&](const Replica& one) { return nodes_.at(one.node).evicted; },
                              .complete = [&](const Replica& one) { return arc.complete.contains(one.node); },
                              .leaving = [&](const Uuid& uuid) { return nodes_.at(uuid).leaving; }};
      auto step = next_step(standing);
      if (step.propose) {
        adopt(number, *std::move(step.propose));
      } else if (step.hand_over_to) {
        arc.leader = *arc.view.find(*step.hand_over_to);
      } else {
        if (step.make_whole && !arc.copying) copy(number, step.make_whole->node);
        break;
      }
    }
    account(arc);
  }

  void copy(ArcNumber number, const Uuid& to) {
    arcs_[number].copying = to;
    auto& free = nodes_.at(to).link_free;
    free = std::max(free, world_.now()) + Duration(static_cast<std::int64_t>(kArcBytes / kBytesASecond * 1e9));
    world_.at(free, [this, number, to] {
      auto& arc = arcs_[number];
      arc.copying.reset();
      moved += kArcBytes;
      if (nodes_.at(to).alive && arc.view.find(to) != nullptr) arc.complete.insert(to);
      look(number);
    });
  }

  /// Whether it has fewer copies than it should, since when, and for how long it had.
  void account(Arc& arc) {
    const auto whole = std::ranges::count_if(arc.complete, [&](const Uuid& uuid) { return nodes_.at(uuid).alive; });
    const bool thin = running_ && whole < setting_.replicas;
    if (arc.thin_since) {
      const double seconds = std::chrono::duration<double>(world_.now() - *arc.thin_since).count();
      if (thin) return;
      arc.thin_seconds += seconds;
      thin_for.add(seconds);
      arc.thin_since.reset();
    } else if (thin) {
      arc.thin_since = world_.now();
    }
  }

  const Setting setting_;
  World world_;
  bool running_ = false;
  std::size_t born_ = 0;
  std::map<Uuid, Node> nodes_;  ///< Those that ended too.
  Links links_;
  std::vector<Arc> arcs_;
  double stored_ = 0;
};
}  // namespace

void run_storage(const ExperimentOptions& options, Report& report) {
  const std::size_t nodes = options.nodes.value_or(options.quick ? 100 : 1000);
  const int days = options.quick ? 90 : 365;
  const int arc_bits = options.quick ? 9 : 12;
  report.say(fmt::format(
      "{} days; lifetimes of nodes exponential, {} days on average; half of them leave in good order, half die with "
      "their disks; an empty one takes the place of each after {} hour on average. {} arcs of 4 GiB; a node receives "
      "{} "
      "MB/s; the dead are replaced after {} s.",
      days, kLifetime / kDay, kReplacedAfter / 1h, ArcMap(arc_bits).count(), kBytesASecond / 1e6, kEvictAfter / 1s));
  report.say(
      "moved: bytes copied over bytes stored (all replicas). least: what ended with its node and had to be made again, "
      "once. Consistent hashing moves about twice that: away, and to the node that takes the place. thin_share: the "
      "share of time that an arc had fewer than all copies; thin_p99: how long at a time, in seconds.");
  report.say(
      "lost: arcs all of whose copies were gone at once. blocked: a majority of its voters died within one repair: "
      "data "
      "is there, and ChordFS waits for somebody to say so (production cannot do that yet; here it goes on).");
  report.say("Tolerance: nothing lost; moved not above 2.5 times the least.");
  Progress progress("storage", 2.0 * days);
  for (const int replicas : {3, 5}) {
    Store store({options.seed, nodes, 8, arc_bits, replicas, days * kDay});
    store.run(progress);
    auto& row = report.row(fmt::format("chordfs, {} replicas", replicas), nodes);
    row["ends"] = store.ends;
    row["leaves"] = store.leaves;
    row["moved"] = rounded(store.moved / store.stored());
    row["least"] = rounded(store.least / store.stored());
    row["ratio"] = rounded(store.moved / store.least);
    row["thin_share"] = rounded(store.thin_share(), 7);
    row["thin_p99"] = rounded(store.thin_for.percentile(99), 0);
    row["thin_max"] = rounded(store.thin_for.max(), 0);
    row["blocked"] = store.blocked;
    row["lost"] = store.lost;
    report.must(store.lost == 0, fmt::format("{} arcs lost with {} replicas", store.lost, replicas));
    report.must(store.moved <= 2.5 * store.least, "more is moved than should be");
  }
  for (const int positions : kPositions) {
    const int bits = options.quick ? 11 : 15;
    const Store store({options.seed, nodes, positions, bits, 3, {}});
    const auto held = store.balance();
    auto& row = report.row("balance", nodes);
    row["positions"] = positions;
    row["arcs"] = ArcMap(bits).count();
    row["mean"] = rounded(held.mean());
    row["p1"] = rounded(held.percentile(1) / held.mean(), 3);
    row["p99"] = rounded(held.percentile(99) / held.mean(), 3);
    row["max"] = rounded(held.max() / held.mean(), 3);
  }
}

}  // namespace chordfs
