// Every order of every step of the ring's protocol over a few identifiers, and random ones over more (chord.md, E12).

#include <fmt/format.h>

#include <array>

#include "tools/sim/experiments/experiment.h"
#include "tools/sim/explore.h"
#include "tools/sim/rng.h"

namespace chordfs {

namespace {
constexpr std::uint64_t kSteps = 100'000'000;
constexpr std::uint64_t kStepsQuick = 600'000;
constexpr std::size_t kStatesOfFive = 1'500'000;
constexpr int kWalkLength = 400;
// Of an arc whose members change; of three nodes, of four.
constexpr std::array<std::size_t, 2> kMembersStates = {2'000'000, 1'300'000};
constexpr std::size_t kMembersStatesQuick = 60'000;
using State = Explored::State;

void show(Row& row, int ids, const ExploreReport& found) {
  row["identifiers"] = ids;
  row["states"] = found.reached;
  row["steps"] = found.steps;
  row["complete"] = found.complete;
  row["broken"] = found.broken.empty() ? "-" : found.broken;
}

/// Also breadth first, as far as `states`.
std::uint64_t breadth_first(int ids, std::size_t states, bool complete, Report& report) {
  auto protocol = our_protocol(ids);
  auto found = explore(*protocol, {.starts = protocol->starts(), .states_max = states, .count_hopeless = complete});
  auto& row = report.row("ours", 0);
  show(row, ids, found);
  row["hopeless"] = found.hopeless;
  report.must(found.broken.empty(), fmt::format("{} identifiers: {}", ids, found.broken));
  report.must(!complete || (found.complete && found.hopeless == 0),
              fmt::format("{} identifiers: not complete, or repair does not always lead to one ring", ids));
  return found.steps;
}

/// Random histories: every step that is possible at each of their states is judged, one of them taken.
std::uint64_t walks(int ids, std::uint64_t steps_max, Rng rng, Progress& progress, std::uint64_t done, Report& report) {
  auto protocol = our_protocol(ids);
  const auto from = protocol->starts();
  std::uint64_t steps = 0, histories = 0;
  std::string broken;
  while (steps < steps_max && broken.empty()) {
    State state = from[histories++ % from.size()];
    for (int i = 0; i < kWalkLength && broken.empty(); ++i) {
      auto next = protocol->steps(state);
      if (next.empty()) break;
      for (const auto& step : next) {
        ++steps;
        if (broken = protocol->broken(step.next); !broken.empty()) {
          broken += ": " + protocol->text(step.next);
          break;
        }
      }
      state = std::move(next[rng.below(next.size())].next);
    }
    progress.at(static_cast<double>(done + steps));
  }
  auto& row = report.row("ours, random", 0);
  row["identifiers"] = ids;
  row["histories"] = histories;
  row["steps"] = steps;
  row["broken"] = broken.empty() ? "-" : broken;
  report.must(broken.empty(), fmt::format("{} identifiers, at random: {}", ids, broken));
  return steps;
}

void members(int nodes, std::size_t states, Report& report) {
  auto arc = arc_members(nodes);
  const auto starts = arc->starts();
  auto found = explore(*arc, {.starts = starts, .states_max = states});
  auto& row = report.row("members of an arc", static_cast<std::size_t>(nodes));
  row["starts"] = starts.size();
  row["states"] = found.reached;
  row["steps"] = found.steps;
  row["broken"] = found.broken.empty() ? "-" : found.broken;
  report.must(found.broken.empty(), fmt::format("an arc of {} nodes: {}", nodes, found.broken));
}

void planted_in_members(const FoundInMembers& mistake, Report& report) {
  plant(mistake.defect);
  auto arc = arc_members(mistake.nodes);
  auto found = explore(*arc, {.starts = arc->starts()});
  plant(Defect::none);
  auto& row = report.row(fmt::format("planted: {}", name_of(mistake.defect)), static_cast<std::size_t>(mistake.nodes));
  row["broken"] = found.broken.empty() ? "-" : found.broken;
  report.must(!found.broken.empty(),
              fmt::format("{} is not found: does the checker see anything?", name_of(mistake.defect)));
}

void told(const BreakingHistory& history, Report& report) {
  auto after = [&](const ExploredProtocol& protocol) {
    State state = history.from_ideal ? protocol.ideal({0, 1, 2}) : protocol.alone();
    for (auto words : history.words)
      if (auto next = protocol.act(state, words)) state = std::move(*next);
    return state;
  };
  auto published = published_protocol(4, history.alive_check);
  auto ours = our_protocol(4);
  const auto theirs = exhaust_repairs(*published, after(*published));
  const bool breaks = !published->broken(after(*published)).empty() && theirs.permanent();
  const auto repaired = exhaust_repairs(*ours, after(*ours));
  auto& row = report.row(history.name, 0);
  row["published"] = breaks ? "broken for good" : "bears it";
  row["published_states"] = theirs.states;
  row["ours"] = repaired.hopeless == 0 ? "bears it" : "broken";
  row["ours_states"] = repaired.states;
  report.must(breaks,
              fmt::format("{} does not break the published protocol: does the checker see anything?", history.name));
  report.must(repaired.hopeless == 0, fmt::format("{} breaks ours", history.name));
}
}  // namespace

void run_exploration(const ExperimentOptions& options, Report& report) {
  report.say(
      "Every order of every step, breadth first: joins, failures that the theorem allows, each question of each "
      "operation. Decisions are RingState's own; lists of 2. After every step Zave's invariant and what it implies.");
  report.say(
      "complete: all states were expanded. hopeless: states from which repair alone does not lead to one ordered ring. "
      "random: histories of up to 400 steps, where all steps possible at each state are judged.");
  report.say(
      "members of an arc: the same of one arc that grows, shrinks, replaces a voter and takes it back, on three and "
      "four "
      "nodes; decisions are Raft's and next_step's own. Messages arrive in any order, late, never, once twice; two "
      "crashes; once writes wait; four terms. From every state of the straight ways, the leader dying at any moment of "
      "them, as far as `states`. I1 to I3, I5 to I8, I10 after every step. planted: mistakes that it must find.");
  report.say("T1 to T5: histories that must break the published protocol for good, and must not break ours.");
  const std::uint64_t all = options.quick ? kStepsQuick : kSteps;
  Progress progress("exploration", static_cast<double>(all));
  std::uint64_t steps = breadth_first(3, 1'000'000, true, report);
  steps += breadth_first(4, 1'000'000, true, report);
  if (!options.quick) steps += breadth_first(5, kStatesOfFive, false, report);
  for (int ids = 5; ids <= 7; ++ids) {
    const auto share = steps < all ? (all - steps) / static_cast<std::uint64_t>(8 - ids) + 1 : 1;
    steps += walks(ids, share, Rng::derived(options.seed, "walks", static_cast<std::uint64_t>(ids)), progress, steps,
                   report);
  }
  auto& row = report.row("ours, in all", 0);
  row["steps"] = steps;
  report.must(steps >= all, fmt::format("only {} steps", steps));
  for (const auto& history : breaking_histories()) told(history, report);
  members(3, options.quick ? kMembersStatesQuick : kMembersStates[0], report);
  if (!options.quick) members(4, kMembersStates[1], report);
  for (const auto& mistake : found_in_members())
    if (!options.quick || mistake.nodes == 3) planted_in_members(mistake, report);
  for (const bool alive_check : {false, true}) {
    auto protocol = published_protocol(4, alive_check);
    auto found = explore(*protocol, {.starts = {protocol->alone()}, .forgive_repairable = true});
    show(report.row(alive_check ? "published, alive check" : "published", 0), 4, found);
    report.must(!found.broken.empty(), "the published protocol does not break: does the checker see anything?");
  }
}

}  // namespace chordfs
