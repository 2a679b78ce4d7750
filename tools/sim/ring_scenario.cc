// The scenario "ring": membership alone. Failures are only those that Zave's theorem allows (chord.md, C16), messages
// are never lost and late by far less than a timeout, so that a timeout means dead, as she assumes.
#include <algorithm>

#include "tools/sim/scenarios.h"

namespace chordfs {

namespace {
constexpr Duration kGapMax = 1500ms;
constexpr Duration kDownMin = 200ms, kDownMax = 8s;
constexpr Duration kSettleMax = 180s;

class RingScenario {
 public:
  explicit RingScenario(const ScenarioOptions& options)
      : rng_(Rng::derived(options.seed, "ring scenario")),
        size_(options.nodes.value_or(draw_size())),
        ring_({.seed = options.seed, .arc_bits = 4, .positions = draw_positions(), .check_ring = true}) {}

  ScenarioReport run() {
    ring_.found();
    const int churn = 10 + static_cast<int>(rng_.below(15));
    while (present() < size_ && ring_.violations().empty()) {
      join_some();
      if (rng_.chance(0.3)) strike();
      pause();
    }
    for (int event = 0; event < churn && ring_.violations().empty(); ++event) {
      strike();
      pause();
    }
    const Time calm = ring_.world().now();
    // After a violation nothing that follows says anything.
    if (!ring_.violations().empty()) return report_of(ring_);
    if (auto wrong = calm_down(); !wrong.empty()) ring_.violation("not one ordered ring again: " + wrong);
    auto report = report_of(ring_);
    report.numbers["seconds to settle"] = static_cast<std::uint64_t>((ring_.world().now() - calm) / 1s);
    report.numbers["crashes"] = crashes_;
    report.numbers["leaves"] = leaves_;
    return report;
  }

 private:
  /// As many small rings as large ones, for their troubles are different.
  std::size_t draw_size() {
    switch (rng_.below(4)) {
      case 0:
        return 1 + rng_.below(5);
      case 1:
        return 6 + rng_.below(15);
      case 2:
        return 21 + rng_.below(30);
      default:
        return 51 + rng_.below(50);
    }
  }
  int draw_positions() {
    if (size_ <= 8) return 1 + static_cast<int>(rng_.below(8));
    return size_ <= 20 ? 1 + static_cast<int>(rng_.below(3)) : 1;
  }

  std::size_t present() {
    std::size_t count = 0;
    for (std::size_t i = 0; i < ring_.node_count(); ++i) count += !ring_.gone(i) && !ring_.leaving(i);
    return count;
  }

  void pause() { ring_.world().run_for(rng_.between(0ns, kGapMax)); }

  void join_some() {
    const auto serving = ring_.serving_nodes();
    if (serving.empty()) return;
    const auto burst = std::min<std::size_t>(1 + rng_.below(1 + size_ / 12 + 3), size_ - present());
    for (std::size_t i = 0; i < burst; ++i) ring_.add_node({serving[rng_.below(serving.size())]});
  }

  void strike() {
    const auto serving = ring_.serving_nodes();
    if (serving.empty()) return;
    const auto victim = serving[rng_.below(serving.size())];
    switch (rng_.below(4)) {
      case 0:
        if (!ring_.may_leave(victim)) return;
        ++leaves_;
        return ring_.leave(victim);
      case 1:
        return join_some_more();
      default:
        if (!ring_.may_fail(victim)) return;
        ++crashes_;
        if (rng_.chance(0.5))
          ring_.host(victim).crash();
        else
          ring_.host(victim).power_off();
        ring_.world().after(rng_.between(kDownMin, kDownMax), [this, victim] { restart(victim); });
    }
  }

  /// Through somebody who is in the ring: one that knows only dead peers would be a ring of its own until it is met.
  void restart(std::size_t index) {
    const auto serving = ring_.serving_nodes();
    if (serving.empty())
      ring_.world().after(kDownMin, [this, index] { restart(index); });
    else
      ring_.restart(index, serving[rng_.below(serving.size())]);
  }

  void join_some_more() {
    if (present() < size_) join_some();
  }

  std::string calm_down() {
    ring_.world().run_for(kDownMax + 1s);  // Everybody is restarted.
    return ring_.settle(kSettleMax);
  }

  Rng rng_;
  const std::size_t size_;
  std::uint64_t crashes_ = 0, leaves_ = 0;
  RingWorld ring_;
};
}  // namespace

ScenarioReport run_ring(const ScenarioOptions& options) {
  return RingScenario(options).run();
}

}  // namespace chordfs
