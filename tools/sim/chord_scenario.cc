// The scenario "chord": rings that are nothing but rings. Of two families, drawn from the seed:
//   theorem  joins, leaves, crashes, restarts as far as Zave's theorem covers them (C16), on a network that loses
//   nothing
//            and is faster than any timeout: every rule of the checklist after every step.
//   storm    besides loss, duplicates, pauses beyond the timeout, halves that are separated and healed, the whole ring
//            restarting, failures beyond C16. Then only structure and step rules hold after every step.
// In both, when churn ends, the ring must become one ordered ring in bounded time, stay as it is, and be found by all.
#include <algorithm>
#include <array>

#include "tools/sim/chord_world.h"
#include "tools/sim/scenarios.h"

namespace chordfs {

namespace {
// Between events, drawn once a run: from one thing at a time to everything at once.
constexpr std::array kGapMax = {100ms, 500ms, 1500ms};
// One way, likewise; a call's answer is always there long before its timeout.
constexpr std::array kDelayMean = {Duration(300us), Duration(5ms), Duration(40ms)};
constexpr Duration kDelayMax = 120ms;
constexpr Duration kDownMin = 200ms, kDownMax = 8s;
constexpr Duration kPauseMin = 600ms, kPauseMax = 8s;  // The call timeout is 500 ms, and two in a row mean death.
constexpr Duration kApartMin = 1s, kApartMax = 25s;
constexpr Duration kSettleMax = 180s;
constexpr Duration kQuietFor = 8s;  // Several periods of everything that is periodic.
constexpr Duration kSuspicionsEnd = 3s;
constexpr std::size_t kLookupsMost = 400;
constexpr std::size_t kManyNodes = 60;

class ChordScenario {
 public:
  explicit ChordScenario(const ScenarioOptions& options)
      : rng_(Rng::derived(options.seed, "chord scenario")),
        theorem_(rng_.chance(0.5)),
        size_(draw_size(options.nodes)),
        gap_max_(kGapMax[rng_.below(kGapMax.size())]),
        ring_({.seed = options.seed,
               .positions = draw_positions(),
               .successor_nodes = 2 + static_cast<int>(rng_.below(3)),
               .fingers_every = size_ > kManyNodes ? 10s : 1s,
               .theorem = theorem_}) {
    auto& network = ring_.world().network().options();
    network.delay_mean = kDelayMean[rng_.below(kDelayMean.size())];
    network.delay_max = kDelayMax;
  }

  ScenarioReport run() {
    ring_.found();
    grow();
    const int churn = 10 + static_cast<int>(rng_.below(15));
    for (int event = 0; event < churn && held(); ++event) {
      theorem_ ? strike() : storm();
      pause();
    }
    const Time calm = ring_.world().now();
    if (held()) end();
    return report(ring_.world().now() - calm);
  }

 private:
  /// Small rings have troubles of their own, and many of them cost what one large one does.
  std::size_t draw_size(std::optional<std::size_t> wanted) {
    const auto draw = rng_.below(1000);
    const auto size = draw < 450   ? 1 + rng_.below(5)
                      : draw < 750 ? 6 + rng_.below(7)
                      : draw < 940 ? 13 + rng_.below(20)
                      : draw < 990 ? 33 + rng_.below(40)
                      : draw < 999 ? 73 + rng_.below(150)
                                   : 223 + rng_.below(778);
    return wanted.value_or(size);
  }
  int draw_positions() { return size_ > 20 || rng_.chance(0.5) ? 1 : 2 + static_cast<int>(rng_.below(2)); }

  bool held() const { return ring_.violations().empty(); }
  std::size_t present() {
    std::size_t count = 0;
    for (auto index : ring_.nodes()) count += !ring_.leaving(index);
    return count;
  }
  void pause() { ring_.world().run_for(rng_.between(0ns, gap_max_)); }

  void grow() {
    while (present() < size_ && held()) {
      join_some();
      if (theorem_ && rng_.chance(0.3)) strike();
      pause();
    }
  }

  /// As many at once as there are already: so a thousand are there in a few steps.
  void join_some() {
    const auto burst = std::min<std::size_t>(1 + rng_.below(3 + present()), size_ - present());
    for (std::size_t i = 0; i < burst; ++i) ring_.add_node();
  }
  void join_some_more() {
    if (present() < size_) join_some();
  }

  void fell(ChordWorld::Index victim, bool alone) {
    ++crashes_;
    ring_.crash(victim, rng_.chance(0.5) ? SimHost::Death::process : SimHost::Death::machine);
    ring_.world().after(rng_.between(kDownMin, kDownMax), [this, victim, alone] { ring_.restart(victim, alone); });
  }

  /// What the theorem allows.
  void strike() {
    const auto joined = ring_.joined_nodes();
    if (joined.empty()) return;
    const auto victim = joined[rng_.below(joined.size())];
    switch (rng_.below(4)) {
      case 0:
        return join_some_more();
      case 1:
        if (!ring_.may_leave(victim)) return;
        ++leaves_;
        return ring_.leave(victim);
      default:
        if (ring_.may_fail(victim)) fell(victim, false);
    }
  }

  void storm() {
    const auto joined = ring_.joined_nodes();
    if (joined.empty()) return;
    const auto victim = joined[rng_.below(joined.size())];
    switch (rng_.below(10)) {
      case 0:
        return join_some_more();
      case 1:
        if (joined.size() < 2) return;
        ++leaves_;
        return ring_.leave(victim);
      case 2:
        return stop_for_a_while(victim);
      case 3:
        return divide();
      case 4:
        return weather();
      case 5:
        if (rng_.chance(0.3)) return restart_all();
        [[fallthrough]];
      case 6:
        return fell_many(joined);
      default:
        fell(victim, rng_.chance(0.7));
    }
  }

  void stop_for_a_while(ChordWorld::Index victim) {
    ring_.host(victim).pause();
    ring_.world().after(rng_.between(kPauseMin, kPauseMax), [this, victim] { ring_.host(victim).resume(); });
  }

  void divide() {
    SimNetwork::Hosts half;
    for (auto index : ring_.nodes())
      if (rng_.chance(0.5)) half.push_back(&ring_.host(index));
    ring_.world().network().partition({half});
    ring_.world().after(rng_.between(kApartMin, kApartMax), [this] { ring_.world().network().heal_partition(); });
  }

  void weather() {
    auto& network = ring_.world().network().options();
    network.loss = rng_.chance(0.5) ? 0 : 0.01 * static_cast<double>(rng_.below(15));
    network.duplication = rng_.chance(0.5) ? 0 : 0.01 * static_cast<double>(rng_.below(20));
    network.spike = rng_.chance(0.5) ? 0 : 0.05;
    network.spike_max = 800ms;
  }

  void restart_all() {
    for (auto index : ring_.nodes())
      if (ring_.host(index).alive()) fell(index, true);
  }

  /// Whoever they are: whole successor lists at once, too.
  void fell_many(const std::vector<ChordWorld::Index>& joined) {
    for (auto index : joined)
      if (rng_.chance(0.4)) fell(index, rng_.chance(0.7));
  }

  void end() {
    // Everybody is restarted, goes on, and is no longer suspected.
    ring_.world().run_for(std::max(kDownMax, kPauseMax) + 1s);
    ring_.world().network().heal();
    auto& network = ring_.world().network().options();
    network.loss = network.duplication = network.spike = 0;
    expect("C18: not one ordered ring again", ring_.settle(kSettleMax));
    if (!held()) return;
    ring_.world().run_for(kSuspicionsEnd);
    expect("C19: not quiet", ring_.quiet(kQuietFor));
    expect("C20: lookups disagree", ring_.lookups(kLookupsMost));
  }
  void expect(std::string_view rule, const std::string& wrong) {
    if (!wrong.empty()) ring_.violation(fmt::format("{}: {}", rule, wrong));
  }

  ScenarioReport report(Duration settled) {
    ScenarioReport report;
    report.violations = ring_.violations();
    report.numbers = {{theorem_ ? "in the theorem" : "in a storm", 1},
                      {"nodes", ring_.node_count()},
                      {"positions", static_cast<std::uint64_t>(ring_.options().positions)},
                      {"list length", static_cast<std::uint64_t>(ring_.options().successor_nodes)},
                      {"steps", ring_.world().steps()},
                      {"changes", ring_.changes()},
                      {"ring checks", ring_.checks()},
                      {"full checks", ring_.full_checks()},
                      {"crashes", crashes_},
                      {"leaves", leaves_},
                      {"virtual seconds", static_cast<std::uint64_t>(ring_.world().elapsed() / 1s)},
                      {"seconds to settle", static_cast<std::uint64_t>(settled / 1s)}};
    report.trace_hash = ring_.world().trace_hash();
    if (!report.ok()) report.trace = ring_.trace_of_violation();
    return report;
  }

  Rng rng_;
  const bool theorem_;
  const std::size_t size_;
  const Duration gap_max_;
  std::uint64_t crashes_ = 0, leaves_ = 0;
  ChordWorld ring_;
};
}  // namespace

ScenarioReport run_chord(const ScenarioOptions& options) {
  return ChordScenario(options).run();
}

}  // namespace chordfs
