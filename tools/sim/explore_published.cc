// Chord as published: find_successor, join, stabilize and notify of ToN 2003 as printed, and the list of two successors
// kept as in PODC 2002: update (a dead successor is replaced by the second), reconcile (the second is copied from the
// successor), flush (check_predecessor). Join installs one pointer, and each of these is a step of its own.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "tools/sim/explore.h"

namespace chordfs {

namespace {
constexpr char kNobody = 15;

struct Member {
  char live, successor, second, predecessor;
};

bool between(int a, int b, int c) {
  return a < c ? a < b && b < c : a < b || b < c;
}

class Published final : public ExploredProtocol {
 public:
  Published(int ids, bool alive_check) : ids_(ids), alive_check_(alive_check) {}

  State alone() const override {
    State state = empty();
    put(state, 0, {1, 0, 0, kNobody});
    return state;
  }

  State ideal(const std::vector<int>& members) const override {
    State state = empty();
    for (std::size_t i = 0; i < members.size(); ++i) {
      auto at = [&](std::size_t n) { return static_cast<char>(members[(i + n) % members.size()]); };
      put(state, members[i], {1, at(1), at(2), at(members.size() - 1)});
    }
    return state;
  }

  std::vector<Step> steps(const State& state) const override {
    std::vector<Step> steps;
    auto offer = [&](const char* name, int n, bool repair, std::optional<State> next) {
      if (next && *next != state) steps.push_back({fmt::format("{} {}", name, n), repair, std::move(*next)});
    };
    for (int n = 0; n < ids_; ++n) {
      offer("join", n, false, join(state, n));
      offer("stabilize", n, true, stabilize(state, n));
      offer("update", n, true, update(state, n));
      offer("reconcile", n, true, reconcile(state, n));
      offer("flush", n, true, flush(state, n));
      if (may_fail(state, n)) offer("fail", n, false, fail(state, n));
    }
    return steps;
  }

  std::string broken(const State& state) const override {
    std::vector<int> ring;
    int rings = 0;
    for (int n = 0; n < ids_; ++n) {
      if (!live(state, n)) continue;
      auto cycle = cycle_from(state, n);
      if (cycle.empty()) return fmt::format("ConnectedAppendages: {} has lost its way", n);
      if (std::ranges::find(ring, cycle.front()) != ring.end()) continue;
      if (++rings > 1) return fmt::format("AtMostOneRing: one with {}, one with {}", ring.front(), cycle.front());
      ring = std::move(cycle);
    }
    if (rings == 0) return "AtLeastOneRing";
    for (int n : ring)
      for (int other : ring)
        if (int next = best(state, n); next != n && between(n, other, next))
          return fmt::format("OrderedRing: {} is followed by {}, but {} lies between", n, next, other);
    return "";
  }

  bool right(const State& state) const override {
    for (int n = 0; n < ids_; ++n) {
      if (!live(state, n)) continue;
      int next = n;
      do next = (next + 1) % ids_;
      while (!live(state, next));
      if (best(state, n) != next) return false;
    }
    return true;
  }

  std::optional<State> act(const State& state, std::string_view words) const override {
    const auto space = words.find(' ');
    int n = 0;
    std::from_chars(words.data() + space + 1, words.data() + words.size(), n);
    const auto verb = words.substr(0, space);
    if (verb == "join") return join(state, n);
    if (verb == "stabilize") return stabilize(state, n);
    if (verb == "update") return update(state, n);
    if (verb == "reconcile") return reconcile(state, n);
    if (verb == "fail") return fail(state, n);
    return std::nullopt;
  }

  std::string text(const State& state) const override {
    auto name = [](char n) { return n == kNobody ? std::string("-") : std::to_string(n); };
    std::string text;
    for (int n = 0; n < ids_; ++n)
      if (const Member m = at(state, n); m.live != 0)
        text += fmt::format("{}: [{} {}] after {}; ", n, name(m.successor), name(m.second), name(m.predecessor));
    return text;
  }

 private:
  State empty() const {
    State state;
    for (int n = 0; n < ids_; ++n) state += {0, kNobody, kNobody, kNobody};
    return state;
  }
  static Member at(const State& state, int n) {
    const auto i = static_cast<std::size_t>(n) * 4;
    return {state[i], state[i + 1], state[i + 2], state[i + 3]};
  }
  static void put(State& state, int n, const Member& m) {
    const auto i = static_cast<std::size_t>(n) * 4;
    state[i] = m.live;
    state[i + 1] = m.successor;
    state[i + 2] = m.second;
    state[i + 3] = m.predecessor;
  }
  static bool live(const State& state, int n) { return n != kNobody && at(state, n).live != 0; }

  int best(const State& state, int n) const {
    const Member m = at(state, n);
    if (live(state, m.successor)) return m.successor;
    return live(state, m.second) ? m.second : kNobody;
  }

  /// The ring that n leads into; empty if the way ends.
  std::vector<int> cycle_from(const State& state, int n) const {
    for (int i = 0; i < ids_ && n != kNobody; ++i) n = best(state, n);
    if (n == kNobody) return {};
    std::vector<int> cycle;
    for (int m = n; cycle.empty() || m != n; m = best(state, m)) cycle.push_back(m);
    std::ranges::rotate(cycle, std::ranges::min_element(cycle));
    return cycle;
  }

  std::optional<State> join(const State& state, int n) const {
    if (live(state, n)) return std::nullopt;
    // find_successor(n), answered by whichever member has n between itself and its successor.
    for (int m = 0; m < ids_; ++m) {
      if (!live(state, m)) continue;
      const char successor = at(state, m).successor;
      if (!live(state, successor) || !(between(m, n, successor) || n == successor)) continue;
      State next = state;
      put(next, n, {1, successor, kNobody, kNobody});
      return next;
    }
    return std::nullopt;
  }

  std::optional<State> stabilize(const State& state, int n) const {
    Member m = at(state, n);
    if (m.live == 0 || !live(state, m.successor)) return std::nullopt;
    const char x = at(state, m.successor).predecessor;
    if (x != kNobody && between(n, x, m.successor) && (!alive_check_ || live(state, x))) m.successor = x;
    State next = state;
    put(next, n, m);
    if (!live(state, m.successor)) return next;
    Member successor = at(next, m.successor);
    if (successor.predecessor == kNobody || between(successor.predecessor, n, m.successor))
      successor.predecessor = static_cast<char>(n);
    put(next, m.successor, successor);
    return next;
  }

  std::optional<State> update(const State& state, int n) const {
    Member m = at(state, n);
    if (m.live == 0 || live(state, m.successor) || !live(state, m.second)) return std::nullopt;
    m.successor = m.second;
    m.second = at(state, m.second).successor;
    State next = state;
    put(next, n, m);
    return next;
  }

  std::optional<State> reconcile(const State& state, int n) const {
    Member m = at(state, n);
    if (m.live == 0 || !live(state, m.successor)) return std::nullopt;
    m.second = at(state, m.successor).successor;
    State next = state;
    put(next, n, m);
    return next;
  }

  std::optional<State> flush(const State& state, int n) const {
    Member m = at(state, n);
    if (m.live == 0 || m.predecessor == kNobody || live(state, m.predecessor)) return std::nullopt;
    m.predecessor = kNobody;
    State next = state;
    put(next, n, m);
    return next;
  }

  std::optional<State> fail(const State& state, int n) const {
    if (!live(state, n)) return std::nullopt;
    State next = state;
    put(next, n, {0, kNobody, kNobody, kNobody});
    return next;
  }

  /// Every other member keeps a live successor.
  bool may_fail(const State& state, int n) const {
    auto failed = fail(state, n);
    if (!failed) return false;
    int others = 0;
    for (int m = 0; m < ids_; ++m) {
      if (!live(*failed, m)) continue;
      ++others;
      if (best(*failed, m) == kNobody) return false;
    }
    return others > 0;
  }

  const int ids_;
  const bool alive_check_;
};
}  // namespace

std::unique_ptr<ExploredProtocol> published_protocol(int ids, bool alive_check) {
  return std::make_unique<Published>(ids, alive_check);
}

const std::vector<BreakingHistory>& breaking_histories() {
  static const std::vector<BreakingHistory> all = {
      {"T1", false, false, {"join 1", "join 2", "stabilize 2", "fail 2", "stabilize 1"}},
      {"T2", false, false, {"join 1", "stabilize 1", "stabilize 0", "fail 1", "update 0", "stabilize 0"}},
      {"T3",
       true,
       false,
       {"join 1", "join 2", "stabilize 2", "stabilize 0", "stabilize 1", "reconcile 2", "stabilize 0", "fail 1",
        "join 3", "stabilize 3", "stabilize 2", "fail 3"}},
      {"T4",
       true,
       false,
       {"join 1", "stabilize 1", "stabilize 0", "join 2", "fail 1", "stabilize 2", "reconcile 2", "update 0", "join 1",
        "stabilize 0", "join 3", "stabilize 3", "stabilize 2", "fail 3"}},
      {"T5",
       true,
       true,
       {"fail 1", "update 0", "join 1", "stabilize 0", "join 3", "stabilize 3", "stabilize 2", "fail 3", "update 2",
        "fail 1"}},
  };
  return all;
}

}  // namespace chordfs
