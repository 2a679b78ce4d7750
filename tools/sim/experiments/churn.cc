// Lookups while nodes come and go: by joins and leaves (ToN 2003, table III), by joins and crashes (SIGCOMM 2001,
// figure 12).

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tools/sim/experiments/experiment.h"
#include "tools/sim/experiments/ring_bed.h"

namespace chordfs {

namespace {
struct LeavePapers {
  double rate, mean, last, timeouts, timeouts_last, failures;
};
/// Of table III.
constexpr std::array kLeaves = {
    LeavePapers{0.05, 3.90, 9, 0.05, 2, 0},   LeavePapers{0.10, 3.83, 9, 0.11, 2, 0},
    LeavePapers{0.15, 3.84, 9, 0.16, 2, 2},   LeavePapers{0.20, 3.81, 9, 0.23, 3, 5},
    LeavePapers{0.25, 3.83, 9, 0.30, 3, 6},   LeavePapers{0.30, 3.91, 9, 0.34, 4, 8},
    LeavePapers{0.35, 3.94, 10, 0.42, 4, 16}, LeavePapers{0.40, 4.06, 10, 0.46, 5, 15},
};
struct CrashPapers {
  double rate, failed;
};
/// Of figure 12: the share of lookups that fail, without a second try.
constexpr std::array kCrashes = {CrashPapers{.01, .003}, CrashPapers{.02, .0095}, CrashPapers{.05, .0245},
                                 CrashPapers{.10, .0645}};
constexpr double kPathTolerance = 0.03;

constexpr int kListLength = 20;
constexpr std::size_t kLookups = 10'000;
constexpr Duration kSettledAfter = 10min;
constexpr Duration kCrashesFor = 2h;

struct Setting {
  std::size_t nodes;
  bool papers;  ///< Its periods, one asked after the other, no cache.
  bool crashes;
  double rate;  ///< Of joins, and of leaves or crashes, a second.
  double lookups_a_second;
  std::size_t lookups;
};

struct Measured {
  Sample path, timeouts;
  std::size_t lookups = 0;
  std::size_t failures = 0;  ///< Errors and wrong answers.
  Sample early;              ///< The owner is a joiner whom its own predecessor does not know yet: its age, in seconds.
  std::size_t in_vain = 0;   ///< Somebody dead was asked or named first.
  std::string why;           ///< Of the first failure.
};

class Churn {
 public:
  Churn(const Setting& setting, std::uint64_t seed, Progress& progress, Measured& into)
      : setting_(setting),
        progress_(progress),
        into_(into),
        bed_({.seed = seed, .positions = 1, .successor_nodes = kListLength}),
        comes_(Rng::derived(seed, "comes")),
        goes_(Rng::derived(seed, "goes")),
        asks_(Rng::derived(seed, "asks")) {
    auto& network = bed_.world().network().options();
    network.delay_min = {};
    network.delay_mean = 50ms;
    network.delay_max = 1s;
    if (setting.papers)
      bed_.configure() = [](RingConfig& config) {
        config.stabilize_every = 30s;
        config.fingers_every = 120s;  // Four at a time: one in 30 s.
        config.merge_every = 24h;
        config.lookup_patience = config.call_timeout;
        config.locations_max = 0;
      };
  }

  void run() {
    bed_.grow(setting_.nodes);
    bed_.settle(kSettledAfter);
    if (setting_.papers) bed_.world().run_for(kSettledAfter);  // Fingers.
    come();
    go();
    ask();
    auto enough = [this] { return into_.lookups >= setting_.lookups; };
    bed_.world().run_until(enough, 240h);
  }

 private:
  Duration gap(Rng& rng, double rate) { return rng.exponential(Duration(static_cast<std::int64_t>(1e9 / rate))); }
  RingBed::Index somebody(Rng& rng) {
    const auto nodes = bed_.joined_nodes();
    return nodes[rng.below(nodes.size())];
  }
  void come() {
    bed_.world().after(gap(comes_, setting_.rate), [this] {
      bed_.add(somebody(comes_));
      come();
    });
  }
  void go() {
    bed_.world().after(gap(goes_, setting_.rate), [this] {
      const auto who = somebody(goes_);
      if (setting_.crashes)
        bed_.crash(who, SimHost::Death::machine);
      else
        bed_.leave(who);
      go();
    });
  }
  void ask() {
    bed_.world().after(gap(asks_, setting_.lookups_a_second), [this] {
      bed_.look_up(somebody(asks_), Id::hash(fmt::format("key {}", asks_.next())),
                   [this](const RingBed::Route& route) { judge(route); });
      ask();
    });
  }

  void judge(const RingBed::Route& route) {
    ++into_.lookups;
    progress_.step();
    if (!route.found) {
      fail(route.found.error().text());
      return;
    }
    const auto& [positions, hops] = *route.found;
    auto first = std::ranges::find_if(positions, [&](const Position& p) { return bed_.members().contains(p.id); });
    const auto owner = bed_.owner(route.key);
    if (first == positions.end())
      fail("none of those named is there");
    else if (first->id != owner && (!bed_.known(owner) || bed_.known_since(owner) > route.began))
      into_.early.add(std::chrono::duration<double>(bed_.world().now() - bed_.since(owner)).count());
    else if (first->id != owner)
      fail(fmt::format("{} for {}, whose owner is {}", first->id.brief(), route.key.brief(), owner.brief()));
    const auto dead = [&](const Hop& hop) {
      return hop.outcome != "next" && hop.outcome != "owner" && !bed_.alive(bed_.index_of(hop.node));
    };
    const auto timeouts = std::ranges::count_if(hops, dead) + (first - positions.begin());
    into_.timeouts.add(static_cast<double>(timeouts));
    into_.in_vain += timeouts > 0;
    into_.path.add(static_cast<double>(
        std::ranges::count_if(hops, [](const Hop& hop) { return hop.outcome == "next" || hop.outcome == "owner"; })));
  }
  void fail(std::string why) {
    if (into_.failures++ == 0) into_.why = std::move(why);
  }

  const Setting setting_;
  Progress& progress_;
  Measured& into_;
  RingBed bed_;
  Rng comes_, goes_, asks_;
};

void show_early(Row& row, const Measured& measured) {
  row["early"] = measured.early.size();
  row["early_age"] = rounded(measured.early.median());
  row["early_age_max"] = rounded(measured.early.max());
}

void leaves(const ExperimentOptions& options, const Setting& setting, const LeavePapers& papers, Progress& progress,
            Report& report) {
  Measured measured;
  Churn(setting, options.seed, progress, measured).run();
  auto& row = report.row(setting.papers ? "paper" : "chordfs", setting.nodes);
  row["rate"] = setting.rate;
  row["lookups"] = measured.lookups;
  row["failures"] = measured.failures;
  row["paper_failures"] = papers.failures;
  show_early(row, measured);
  row["p1"] = measured.path.percentile(1);
  row["p99"] = measured.path.percentile(99);
  report.at_most(row, "mean", measured.path.mean(), papers.mean, kPathTolerance * (options.quick ? 3 : 1));
  report.at_most(row, "timeouts", measured.timeouts.mean(), papers.timeouts, options.quick ? 0.5 : 0);
  row["timeouts_p99"] = measured.timeouts.percentile(99);
  row["paper_timeouts_p99"] = papers.timeouts_last;
  report.must(measured.failures == 0, fmt::format("{} lookups failed at {} leaves a second; first: {}",
                                                  measured.failures, setting.rate, measured.why));
}

void crashes(const ExperimentOptions& options, const Setting& setting, const CrashPapers& papers, Progress& progress,
             Report& report) {
  Measured measured;
  Churn(setting, options.seed, progress, measured).run();
  const auto lookups = static_cast<double>(measured.lookups);
  auto& row = report.row(setting.papers ? "crashes, paper" : "crashes, chordfs", setting.nodes);
  row["rate"] = setting.rate;
  row["lookups"] = measured.lookups;
  report.beside(row, "without_retry", static_cast<double>(measured.in_vain) / lookups, papers.failed);
  row["with_retry"] = rounded(static_cast<double>(measured.failures) / lookups, 5);
  row["failures"] = measured.failures;
  show_early(row, measured);
  row["timeouts"] = rounded(measured.timeouts.mean(), 3);
  report.must(measured.failures <= lookups / 10'000, fmt::format("{} lookups failed at {} crashes a second; first: {}",
                                                                 measured.failures, setting.rate, measured.why));
}
}  // namespace

void run_churn(const ExperimentOptions& options, Report& report) {
  const std::size_t nodes = options.nodes.value_or(options.quick ? 100 : 1000);
  // A small ring is to change as fast as a large one, node by node.
  const double share = static_cast<double>(nodes) / 1000;
  const std::size_t lookups = options.quick ? 500 : kLookups;
  report.say(
      fmt::format("Nodes join and leave (or crash, silently), each at `rate` a second for 1,000 nodes (crashes: 500), "
                  "Poisson. 50 ms "
                  "one way, exponential; timeout 500 ms; lists of {}. A lookup fails if the first of those named who "
                  "is in the ring "
                  "is not the key's successor at that moment.",
                  kListLength));
  report.say(
      "early: the key belongs to a node that has just joined and that its own predecessor does not know yet, or did "
      "not "
      "when the lookup began: it is not of the ring before, and its successor, which was named, still serves. Not a "
      "failure. early_age: for how many seconds that one had been in (median, most). timeouts: nodes asked or named "
      "first that were gone.");
  report.say(
      "paper: its periods (30 s for the successor and one finger), no cache, one asked after the other, one lookup a "
      "second; joins, leaves and hints are those of the corrected protocol. chordfs: its own periods (1 s), cache and "
      "patience; 40 lookups a second.");
  report.say(
      fmt::format("Tolerance: no failure, timeouts not above the paper's, path + {:.0f} %. Crashes: with retry at most "
                  "1 in 10,000.",
                  100 * kPathTolerance));
  const double crash_lookups = options.quick ? 500 : static_cast<double>(kCrashesFor / 1s);
  std::vector<LeavePapers> ours{kLeaves.front(), kLeaves[3], kLeaves.back()};
  std::vector<LeavePapers> papers(kLeaves.begin(), kLeaves.end());
  std::vector<CrashPapers> crash(kCrashes.begin(), kCrashes.end());
  if (options.quick) papers = {kLeaves.back()}, ours = {kLeaves.back()}, crash = {kCrashes.back()};
  Progress progress("churn", static_cast<double>((papers.size() + ours.size()) * lookups) +
                                 static_cast<double>(crash.size()) * crash_lookups);
  for (const auto& at : papers)
    leaves(options, {nodes, true, false, at.rate * share, 1, lookups}, at, progress, report);
  for (const auto& at : ours)
    leaves(options, {nodes, false, false, at.rate * share, 40, lookups}, at, progress, report);
  for (const auto& at : crash)
    crashes(options, {nodes / 2, true, true, at.rate * share, 1, static_cast<std::size_t>(crash_lookups)}, at, progress,
            report);
}

}  // namespace chordfs
