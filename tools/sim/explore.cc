#include "tools/sim/explore.h"

#include <deque>
#include <unordered_map>
#include <utility>

namespace chordfs {

namespace {
constexpr std::size_t kProgressEvery = 10'000;

using State = Explored::State;

/// States reached, in order, each with the one that it was first reached from.
class Reached {
 public:
  static constexpr std::size_t kNobody = ~std::size_t{0};

  /// False if it was there before.
  bool add(State state, std::size_t from) {
    auto [at, fresh] = numbers_.emplace(std::move(state), states_.size());
    if (fresh) states_.push_back({&at->first, from});
    return fresh;
  }
  std::size_t size() const { return states_.size(); }
  const State& state(std::size_t number) const { return *states_[number].state; }
  std::size_t number(const State& state) const { return numbers_.at(state); }

  std::vector<std::string> history(const Explored& protocol, std::size_t number) const {
    std::vector<std::string> names;
    for (; states_[number].from != kNobody; number = states_[number].from)
      for (const auto& step : protocol.steps(state(states_[number].from)))
        if (step.next == state(number)) {
          names.insert(names.begin(), step.name);
          break;
        }
    return names;
  }

 private:
  struct Entry {
    const State* state;
    std::size_t from;
  };
  std::unordered_map<State, std::size_t> numbers_;
  std::vector<Entry> states_;
};
}  // namespace

namespace {
/// Of these states, and the repair steps that lead into each, how many lead to no right one.
std::size_t hopeless(const Explored& protocol, const Reached& reached,
                     const std::vector<std::vector<std::uint32_t>>& into) {
  std::vector<bool> hopeful(reached.size());
  std::deque<std::size_t> open;
  for (std::size_t at = 0; at < reached.size(); ++at)
    if (protocol.right(reached.state(at))) {
      hopeful[at] = true;
      open.push_back(at);
    }
  std::size_t left = reached.size() - open.size();
  for (; !open.empty(); open.pop_front())
    for (auto before : into[open.front()])
      if (!hopeful[before]) {
        hopeful[before] = true;
        --left;
        open.push_back(before);
      }
  return left;
}
}  // namespace

std::vector<State> ExploredProtocol::starts() const {
  return {alone(), ideal({0, 1, 2})};
}

Repairs exhaust_repairs(const Explored& protocol, const State& from) {
  Reached reached;
  std::vector<std::vector<std::uint32_t>> into;
  reached.add(from, Reached::kNobody);
  for (std::size_t at = 0; at < reached.size(); ++at) {
    for (auto& step : protocol.steps(State(reached.state(at)))) {
      if (!step.repair) continue;
      reached.add(step.next, at);
      into.resize(reached.size());
      into[reached.number(step.next)].push_back(static_cast<std::uint32_t>(at));
    }
  }
  into.resize(reached.size());
  return {reached.size(), hopeless(protocol, reached, into)};
}

ExploreReport explore(const Explored& protocol, const ExploreOptions& options) {
  ExploreReport report;
  Reached reached;
  std::vector<std::vector<std::uint32_t>> into;
  // False: found what was looked for.
  auto judge = [&](std::size_t number) {
    auto broken = protocol.broken(reached.state(number));
    if (broken.empty()) return true;
    if (options.forgive_repairable && !exhaust_repairs(protocol, reached.state(number)).permanent()) {
      ++report.forgiven;
      return true;
    }
    report.broken = std::move(broken);
    report.history = reached.history(protocol, number);
    report.state = protocol.text(reached.state(number));
    return false;
  };
  auto finish = [&](std::size_t expanded) {
    report.reached = reached.size();
    report.expanded = expanded;
    report.complete = report.broken.empty() && expanded == reached.size();
    into.resize(reached.size());
    if (report.complete && options.count_hopeless) report.hopeless = hopeless(protocol, reached, into);
    return report;
  };

  for (const auto& start : options.starts)
    if (reached.add(start, Reached::kNobody) && !judge(reached.size() - 1)) return finish(0);
  for (std::size_t at = 0; at < reached.size(); ++at) {
    if (reached.size() >= options.states_max) return finish(at);
    if (options.progress && at % kProgressEvery == 0) options.progress(reached.size(), at);
    for (auto& step : protocol.steps(State(reached.state(at)))) {
      ++report.steps;
      if (reached.add(step.next, at) && !judge(reached.size() - 1)) return finish(at);
      if (!options.count_hopeless || !step.repair) continue;
      into.resize(reached.size());
      into[reached.number(step.next)].push_back(static_cast<std::uint32_t>(at));
    }
  }
  return finish(reached.size());
}

}  // namespace chordfs
