// The scenario "replicas": a few busy arcs, and the faults of replication.md, section 7.2; then healing, which must end
// in full availability within a known time.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "tools/sim/chaos.h"
#include "tools/sim/scenarios.h"
#include "tools/sim/workload.h"

namespace chordfs {

namespace {
constexpr Duration kBeginMax = 120s;
constexpr Duration kChaos = 40s;
constexpr Duration kEvictAfter = 3s;
/// A node that was asked to leave hands everything over first; how long that takes depends on what came between.
constexpr Duration kLeaveMax = 60s;
/// I29, and what it takes to give up one that stays dead.
constexpr Duration kHealMax = 10s, kGiveUp = kEvictAfter + 2s;
constexpr std::size_t kNodesMax = 7, kNodesMin = 3;
constexpr Duration kStillUnderWay = 500ms;
constexpr Duration kMeasured = 5s;
/// I30: of one node, with clients at work.
constexpr std::uint64_t kMessagesPerSecondMax = 3000;
/// I29, for what is left of a ring that cannot become whole.
constexpr Duration kCoreLeads = 10s;
constexpr double kOkMin = 0.5;
constexpr double kDiskErrors = 0.01;

ChaosOptions faults() {
  using enum FaultKind;
  ChaosOptions chaos{.duration = kChaos, .lasts_max = 5s, .pause_max = 4s};
  chaos.loss_max = 0.3;
  chaos.duplication_max = 0.5;
  chaos.per_minute = {{crash, 16},     {power_off, 6}, {power_loss, 2}, {pause, 8},      {partition, 7},
                      {one_way, 5},    {cut, 4},       {weather, 6},    {clock_jump, 3}, {slow_disk, 5},
                      {join, 5},       {leave, 3},     {wipe, 2},       {isolate, 5},    {echo, 2},
                      {disk_error, 1}, {disk_full, 1}, {bit_flip, 6},   {stranger, 2}};
  return chaos;
}

class ReplicasScenario {
 public:
  explicit ReplicasScenario(const ScenarioOptions& options)
      : seed_(options.seed),
        rng_(Rng::derived(options.seed, "replicas scenario")),
        core_only_(rng_.below(10) == 0),
        ring_({.seed = options.seed,
               .arc_bits = 2 + static_cast<int>(rng_.below(2)),
               .positions = 1 + static_cast<int>(rng_.below(3)),
               .evict_after = kEvictAfter,
               .clock_rates = true}),
        load_(ring_, {}),
        nodes_(options.nodes.value_or(3 + rng_.below(5))) {}

  ScenarioReport run() {
    ring_.found();
    for (std::size_t i = 1; i < nodes_; ++i) ring_.add_node({rng_.below(i)});
    if (auto wrong = ring_.settle(kBeginMax); !wrong.empty()) ring_.violation("does not even begin: " + wrong);
    load_.prepare();

    const auto options = faults();
    Chaos chaos(ring_.world(), options, plan_chaos(options, seed_), rules());
    chaos.start();
    ring_.world().run_for(kChaos);
    heal(chaos);
    if (!ring_.world().run_until([this] { return nobody_leaves(); }, kLeaveMax))
      ring_.violation("somebody cannot leave: " + ring_.unsettled());
    const Time calm = ring_.world().now();
    // A store that is gone for ever is given up first: a dead node's, or the one before the disk was lost.
    const auto limit = kHealMax + (healed_without_ || wiped_ > 0 ? kGiveUp : 0s);
    if (auto wrong = ring_.settle(limit); !wrong.empty()) ring_.violation("I29: does not heal: " + wrong);
    const auto healed_in = ring_.world().now() - calm;
    const auto messages = measure();
    load_.finish();
    if (auto wrong = ring_.settle(kHealMax); !wrong.empty()) ring_.violation("I29: does not stay whole: " + wrong);
    load_.verify();
    ring_.arcs().compare_records();
    judge_counts();

    auto report = report_of(ring_);
    report.numbers["milliseconds to heal"] = static_cast<std::uint64_t>(healed_in / 1ms);
    report.numbers["messages per second and node"] = messages;
    report.numbers["faults"] = chaos.struck();
    for (const auto& [kind, count] : chaos.struck_by_kind())
      report.numbers[fmt::format("faults: {}", name_of(kind))] = count;
    report.numbers["disks lost"] = wiped_;
    report.numbers["nodes ended by their disk"] = ring_.disk_ends();
    report.numbers["copies spoilt"] = ring_.blocks().spoilt();
    report.numbers["copies bad at the end"] = ring_.blocks().bad_copies();
    report.numbers["healed without one node"] = healed_without_ ? 1 : 0;
    report.numbers["went on with two of three"] = went_on_with_two_ ? 1 : 0;
    report.numbers["strangers refused"] = ring_.stranger().refused();
    report.numbers["operations ok"] = load_.ok();
    report.numbers["operations failed"] = load_.failed();
    report.numbers["operations unknown"] = load_.oracle().doubts();
    report.numbers["mounts killed while they wrote"] = load_.vanished();
    report.numbers["added under locks"] = load_.added();
    report.numbers["objects made"] = load_.oracle().size();
    report.numbers["register histories given up"] = load_.registers_given_up();
    return report;
  }

 private:
  ChaosRules rules() {
    ChaosRules rules;
    rules.victims = [this] { return ring_.members(); };
    rules.restart = [this](SimHost& host) { ring_.restart(ring_.index_of(host)); };
    rules.join = [this] {
      const auto doors = ring_.serving_nodes();
      if (!doors.empty() && ring_.members().size() < kNodesMax && !anybody_lent())
        ring_.add_node({doors[rng_.below(doors.size())]});
    };
    rules.leave = [this](SimHost& host) {
      const auto index = ring_.index_of(host);
      if (ring_.serving_nodes().size() > kNodesMin && ring_.serving(index)) ring_.leave(index);
    };
    rules.harm_disk = [this](SimHost& host, const Fault& fault) { harm_disk(ring_.index_of(host), fault); };
    rules.mend_disk = [this](SimHost& host) {
      auto& disk = ring_.disk(ring_.index_of(host)).options();
      disk.latency.sync = SimDiskOptions().latency.sync;
      disk.io_error_probability = 0;
      disk.capacity_bytes = SimDiskOptions().capacity_bytes;
    };
    rules.may = [this](const Fault& fault, SimHost*) { return fault.kind != FaultKind::stranger || ring_.may_lend(); };
    rules.lend = [this](SimHost& host, const Fault& fault) {
      // Every other time somebody told it, by mistake, to join ours.
      std::vector<RingWorld::Index> via;
      if (const auto doors = ring_.serving_nodes(); fault.choice >> 32 & 1 && !doors.empty()) via = doors;
      ring_.lend(ring_.index_of(host), via);
    };
    rules.take_back = [this](SimHost& host) {
      if (ring_.lent(ring_.index_of(host))) host.power_off();
    };
    rules.wipe = [this](SimHost& host) { wipe(ring_.index_of(host)); };
    rules.leader = [this](std::uint64_t choice) { return leader(choice); };
    rules.bystanders = [this] {
      std::vector<SimHost*> clients;
      for (std::size_t i = 0; i < load_.client_count(); ++i) clients.push_back(&load_.client(i));
      return clients;
    };
    return rules;
  }

  void harm_disk(std::size_t index, const Fault& fault) {
    auto& disk = ring_.disk(index).options();
    switch (fault.kind) {
      case FaultKind::disk_error:
        ring_.forgive_disk(index);
        disk.io_error_probability = kDiskErrors;
        return;
      case FaultKind::disk_full:
        ring_.forgive_disk(index);  // It cannot start without writing that it did.
        disk.capacity_bytes = 1;
        return;
      case FaultKind::bit_flip:
        // Of one node all through the seed: more may spoil every copy of a block, and no design promises anything then.
        if (!spoilt_node_) spoilt_node_ = index;
        if (!ring_.gone(*spoilt_node_)) ring_.blocks().spoil(*spoilt_node_);
        return;
      default:
        disk.latency.sync = 5ms + Duration(fault.choice % 115) * 1'000'000;
    }
  }

  /// Of some arc; every other time of the one that has the registers, about which a lie would be noticed.
  SimHost* leader(std::uint64_t choice) {
    const auto arc = choice & 1 ? load_.registers_arc() : static_cast<ArcNumber>(choice / 2 % ring_.map().count());
    for (const auto i : ring_.serving_nodes())
      if (const auto part = ring_.node(i)->arcs()->find(arc); part && part->leads() && !ring_.host(i).paused())
        return &ring_.host(i);
    return nullptr;
  }

  /// As soon as nothing is lost by it, if that comes within a while: chaos seldom leaves all arcs whole.
  void wipe(std::size_t index, int tries = 100) {
    if (wipes_over_ || ring_.gone(index) || ring_.leaving(index)) return;
    if (!anybody_lent() && ring_.serving(index) && ring_.arcs().spares(index)) {
      ring_.host(index).power_off();
      // What it has acknowledged arrives meanwhile: only then is it known what rests on its disk.
      ring_.world().after(kStillUnderWay, [this, index] { replace_disk(index); });
      return;
    }
    if (tries > 0) ring_.world().after(100ms, [this, index, tries] { wipe(index, tries - 1); });
  }

  void replace_disk(std::size_t index) {
    if (ring_.gone(index) || ring_.host(index).alive()) return;
    auto doors = ring_.serving_nodes();
    std::erase(doors, index);
    if (doors.empty() || anybody_lent() || ring_.leaving(index) || !ring_.arcs().spares(index))
      return ring_.restart(index);
    ++wiped_;
    ring_.wipe(index, doors[rng_.below(doors.size())]);
  }

  /// All faults end. In one seed of ten only a core heals: somebody stays dead, whom the others can do without. Of more
  /// than three nodes the rest must become whole in its place, like any ring; two of three must go on.
  void heal(Chaos& chaos) {
    wipes_over_ = true;
    chaos.calm();
    if (!core_only_) return;
    ring_.world().run_for(2s);
    const auto nodes = ring_.serving_nodes();
    if (nodes.size() < kNodesMin) return;
    const auto victim = nodes[rng_.below(nodes.size())];
    if (!ring_.arcs().spares(victim)) return;
    if (nodes.size() > kNodesMin) {
      ring_.abandon(victim);
      healed_without_ = true;
      return;
    }
    ring_.host(victim).power_off();
    auto led = [this] {
      for (ArcNumber arc = 0; arc < ring_.map().count(); ++arc)
        if (std::ranges::none_of(ring_.serving_nodes(), [&](std::size_t i) {
              const auto part = ring_.node(i)->arcs()->find(arc);
              return part && part->leads() && part->serves();
            }))
          return false;
      return true;
    };
    if (!ring_.world().run_until(led, kCoreLeads)) ring_.violation("I29: two of three do not lead every arc");
    const auto ok = load_.ok();
    ring_.world().run_for(kMeasured);
    if (load_.ok() == ok) ring_.violation("I29: nothing succeeds with two of three");
    went_on_with_two_ = true;
    ring_.restart(victim);
  }

  bool anybody_lent() const {
    for (std::size_t i = 0; i < ring_.node_count(); ++i)
      if (ring_.lent(i)) return true;
    return false;
  }

  bool nobody_leaves() const {
    for (std::size_t i = 0; i < ring_.node_count(); ++i)
      if (ring_.leaving(i) && !ring_.gone(i)) return false;
    return true;
  }

  std::uint64_t measure() {
    auto sent = [this] {
      std::uint64_t all = 0;
      for (auto* host : ring_.members()) all += host->traffic().sent;
      return all;
    };
    const auto before = sent();
    ring_.world().run_for(kMeasured);
    const auto each = (sent() - before) / static_cast<std::uint64_t>(kMeasured / 1s) / ring_.members().size();
    if (each > kMessagesPerSecondMax)
      ring_.violation(fmt::format("I30: {} messages per second and node in a calm ring", each));
    return each;
  }

  void judge_counts() {
    const auto all = static_cast<double>(load_.ok() + load_.failed());
    if (static_cast<double>(load_.ok()) < kOkMin * all)
      ring_.violation(fmt::format("says nothing: too few operations succeeded: {}", load_.counts()));
    // A judge that is shown nothing finds nothing: so it was with transactions, until somebody looked at the counts.
    if (ring_.transactions().decided() == 0) ring_.violation("says nothing: no transaction was decided");
    if (ring_.blocks().acknowledged() == 0) ring_.violation("says nothing: no block was acknowledged");
    if (ring_.arcs().records_compared() == 0) ring_.violation("says nothing: no record was compared");
    if (load_.added() == 0) ring_.violation("says nothing: nothing was added under locks");
  }

  const std::uint64_t seed_;
  Rng rng_;
  const bool core_only_;
  RingWorld ring_;
  Workload load_;
  const std::size_t nodes_;
  bool healed_without_ = false, went_on_with_two_ = false;
  std::size_t wiped_ = 0;
  std::optional<std::size_t> spoilt_node_;
  bool wipes_over_ = false;
};
}  // namespace

ScenarioReport run_replicas(const ScenarioOptions& options) {
  return ReplicasScenario(options).run();
}

}  // namespace chordfs
