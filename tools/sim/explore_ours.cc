// Our protocol for the explorer. What a position decides is decided by RingState itself; here is only what Ring does
// around it (maintenance.cc, membership.cc): whom an operation asks, in which order, and what it tells whom. One
// question and its answer are one step; between two questions of one operation the position is busy, and whoever asks
// it then gives up and tries again.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "daemon/ring/invariant.h"
#include "proto/base/check.h"
#include "tools/sim/explore.h"

namespace chordfs {

namespace {
constexpr int kR = kExploredListLength;
constexpr int kIdsMax = 8;

/// What a position does between two steps.
enum class Doing : char {
  nothing,
  stabilizing,  ///< Is to ask `whom`, its successor's predecessor.
  rectifying,   ///< Has found its predecessor dead and is to ask the candidate `whom`.
  joining,      ///< Holds the list of `after`, which it is to be inserted after, and is to ask `held`.
  making_sure   ///< Holds the list of `held` instead, and is to ask `after` once more.
};

using List = std::vector<char>;

struct Node {
  bool member = false;
  Doing doing = Doing::nothing;
  char predecessor = 0, whom = 0, after = 0, held = 0;
  unsigned char candidates = 0;  ///< Notifies that wait, a bit for each.
  List list;
  List carried;  ///< While it joins: the list of `after`, then of `held`.
};

struct Whole {
  bool ordinary = false;  ///< There have been principals on r + 1 nodes.
  std::vector<Node> nodes;
};

const Position& position(int n) {
  static const std::vector<Position> all = [] {
    std::vector<Position> list;
    for (int i = 0; i < kIdsMax; ++i)
      list.push_back({Id::from_top(static_cast<std::uint64_t>(i) << 61), Uuid(7, static_cast<std::uint64_t>(i) + 1), 0,
                      Endpoint{"", static_cast<std::uint16_t>(i)}});
    return list;
  }();
  return all[static_cast<std::size_t>(n)];
}

char number(const Position& p) {
  return static_cast<char>(p.at.port);
}

std::vector<Position> positions(const List& list) {
  std::vector<Position> all;
  for (char n : list) all.push_back(position(n));
  return all;
}

List numbers(const std::vector<Position>& all) {
  List list;
  for (const Position& p : all) list.push_back(number(p));
  return list;
}

enum class Heard { dead, busy, member };

class Ours final : public ExploredProtocol {
 public:
  explicit Ours(int ids) : ids_(ids) { CHECK(ids > 0 && ids <= kIdsMax); }

  State alone() const override {
    Whole whole{false, std::vector<Node>(static_cast<std::size_t>(ids_))};
    whole.nodes[0].member = true;
    return encode(whole);
  }

  State ideal(const std::vector<int>& members) const override {
    Whole whole{false, std::vector<Node>(static_cast<std::size_t>(ids_))};
    std::vector<Position> ring;
    for (int n : members) ring.push_back(position(n));
    for (int n : members) {
      RingState state(position(n), kR);
      state.create(ring);
      keep(whole.nodes[static_cast<std::size_t>(n)], state);
    }
    return encode(whole);
  }

  std::vector<Step> steps(const State& state) const override {
    const Whole whole = decode(state);
    std::vector<Step> steps;
    auto offer = [&](std::string name, bool repair, Whole next) {
      if (State coded = encode(next); coded != state) steps.push_back({std::move(name), repair, std::move(coded)});
    };
    for (int n = 0; n < ids_; ++n) {
      const Node& node = whole.nodes[static_cast<std::size_t>(n)];
      auto run = [&](std::string name, bool repair, auto step) {
        Whole next = whole;
        step(next);
        offer(std::move(name), repair, std::move(next));
      };
      if (node.member && node.doing == Doing::nothing) {
        run(fmt::format("stabilize {}", n), true, [&](Whole& w) { stabilize(w, n); });
        for (int q = 0; q < ids_; ++q)
          if ((node.candidates >> q & 1) != 0)
            run(fmt::format("rectify {} for {}", n, q), true, [&](Whole& w) { rectify(w, n, q); });
      } else if (node.doing != Doing::nothing) {
        run(fmt::format("go on {}", n), true, [&](Whole& w) { go_on(w, n); });
      } else {
        for (int m = 0; m < ids_; ++m)
          if (precedes(whole, m, n))
            run(fmt::format("join {} after {}", n, m), false, [&](Whole& w) { begin_join(w, n, m); });
      }
      if (node.member && may_fail(whole, n)) run(fmt::format("fail {}", n), false, [&](Whole& w) { fail(w, n); });
    }
    return steps;
  }

  std::string broken(const State& state) const override {
    const Whole whole = decode(state);
    auto snapshot = snapshot_of(whole);
    return text_of(check_invariant(snapshot, whole.ordinary ? RingMode::ordinary : RingMode::small));
  }

  bool right(const State& state) const override {
    const Whole whole = decode(state);
    return std::ranges::none_of(whole.nodes, [](const Node& node) { return node.doing != Doing::nothing; }) &&
           check_ideal(snapshot_of(whole)).empty();
  }

  std::optional<State> act(const State& state, std::string_view words) const override {
    Whole whole = decode(state);
    const auto space = words.find(' ');
    int n = 0;
    std::from_chars(words.data() + space + 1, words.data() + words.size(), n);
    const auto verb = words.substr(0, space);
    const bool member = whole.nodes[static_cast<std::size_t>(n)].member;
    if (verb == "join") {
      if (member) return std::nullopt;
      for (int m = 0; m < ids_; ++m)
        if (precedes(whole, m, n)) {
          begin_join(whole, n, m);
          break;
        }
      finish(whole, n);
      if (!whole.nodes[static_cast<std::size_t>(n)].member) return std::nullopt;
    } else if (!member) {
      return std::nullopt;
    } else if (verb == "fail") {
      fail(whole, n);
    } else {
      // Updating and reconciling a list are parts of stabilizing here.
      stabilize(whole, n);
      finish(whole, n);
    }
    return encode(whole);
  }

  std::string text(const State& state) const override {
    const Whole whole = decode(state);
    auto listed = [](const List& list) {
      std::string text;
      for (char n : list) text += (text.empty() ? "" : " ") + std::to_string(n);
      return text;
    };
    std::string text;
    for (int n = 0; n < ids_; ++n) {
      const Node& node = whole.nodes[static_cast<std::size_t>(n)];
      if (node.member) text += fmt::format("{}: [{}] after {}", n, listed(node.list), +node.predecessor);
      if (node.doing == Doing::stabilizing) text += fmt::format(", to ask {}", +node.whom);
      if (node.doing == Doing::rectifying) text += fmt::format(", to rectify for {}", +node.whom);
      if (node.doing == Doing::joining)
        text += fmt::format("{} joins after {}: [{}]", n, +node.after, listed(node.carried));
      if (node.doing == Doing::making_sure)
        text += fmt::format("{} joins after {}, before {}: [{}]", n, +node.after, +node.held, listed(node.carried));
      if (node.member || node.doing != Doing::nothing) text += "; ";
    }
    return text;
  }

 private:
  static State encode(Whole whole) {
    if (!whole.ordinary) whole.ordinary = nodes_of(principals(snapshot_of(whole))) > kR;
    State state(1, static_cast<char>(whole.ordinary));
    for (const Node& node : whole.nodes) {
      state += static_cast<char>(node.member);
      state += static_cast<char>(node.doing);
      for (char c : {node.predecessor, node.whom, node.after, node.held}) state += c;
      state += static_cast<char>(node.candidates);
      for (const List* list : {&node.list, &node.carried}) {
        state += static_cast<char>(list->size());
        state.append(list->begin(), list->end());
      }
    }
    return state;
  }

  Whole decode(const State& state) const {
    auto at = state.begin();
    Whole whole{*at++ != 0, std::vector<Node>(static_cast<std::size_t>(ids_))};
    for (Node& node : whole.nodes) {
      node.member = *at++ != 0;
      node.doing = static_cast<Doing>(*at++);
      for (char* c : {&node.predecessor, &node.whom, &node.after, &node.held}) *c = *at++;
      node.candidates = static_cast<unsigned char>(*at++);
      for (List* list : {&node.list, &node.carried}) {
        const auto size = *at++;
        list->assign(at, at + size);
        at += size;
      }
    }
    return whole;
  }

  // ---- RingState, in and out. ----

  static RingState make(const Whole& whole, int n) {
    const Node& node = whole.nodes[static_cast<std::size_t>(n)];
    RingState state(position(n), kR);
    if (node.list.empty()) {
      state.create({position(n)});
      state.set_predecessor(position(node.predecessor));
    } else {
      View first{position(node.list.front()), {}, positions({node.list.begin() + 1, node.list.end()})};
      state.join(position(node.predecessor), first);
    }
    return state;
  }
  static void keep(Node& node, const RingState& state) {
    node.member = state.member();
    node.predecessor = number(state.predecessor());
    node.list = numbers(state.successors());
  }
  static void keep(Whole& whole, int n, const RingState& state) {
    keep(whole.nodes[static_cast<std::size_t>(n)], state);
  }
  static Node& at(Whole& whole, int n) { return whole.nodes[static_cast<std::size_t>(n)]; }

  static Heard ask(const Whole& whole, int n) {
    const Node& node = whole.nodes[static_cast<std::size_t>(n)];
    if (!node.member) return Heard::dead;
    return node.doing == Doing::nothing ? Heard::member : Heard::busy;
  }
  static void idle(Node& node) {
    node.doing = Doing::nothing;
    node.whom = node.after = node.held = 0;
    node.carried.clear();
  }

  // ---- What Ring does. ----

  static void notify(Whole& whole, int to, int candidate) {
    Node& node = at(whole, to);
    if (!node.member || make(whole, to).consider(position(candidate)) == RingState::Verdict::keep) return;
    node.candidates |= static_cast<unsigned char>(1U << candidate);
  }

  static void stabilize(Whole& whole, int n) {
    RingState state = make(whole, n);
    const int successor = number(state.successor());
    if (successor == n) return stabilize_alone(whole, n, std::move(state));
    switch (ask(whole, successor)) {
      case Heard::busy:
        return;
      case Heard::dead:
        state.drop(position(successor).id);
        return keep(whole, n, state);
      case Heard::member:
        break;
    }
    const View heard = make(whole, successor).view();
    state.from_successor(heard);
    keep(whole, n, state);
    if (auto closer = state.closer(heard.predecessor)) {
      at(whole, n).doing = Doing::stabilizing;
      at(whole, n).whom = number(*closer);
    } else {
      notify(whole, successor, n);
    }
  }

  static void stabilize_alone(Whole& whole, int n, RingState state) {
    const int predecessor = number(state.predecessor());
    if (predecessor == n) return;
    switch (ask(whole, predecessor)) {
      case Heard::busy:
        return;
      case Heard::dead:
        state.set_predecessor(state.self());
        return keep(whole, n, state);
      case Heard::member:
        state.from_predecessor(make(whole, predecessor).view());
        keep(whole, n, state);
        notify(whole, predecessor, n);
    }
  }

  static void rectify(Whole& whole, int n, int candidate) {
    at(whole, n).candidates &= static_cast<unsigned char>(~(1U << candidate));
    RingState state = make(whole, n);
    switch (state.consider(position(candidate))) {
      case RingState::Verdict::keep:
        return;
      case RingState::Verdict::adopt:
        return adopt(whole, n, candidate);
      case RingState::Verdict::adopt_if_predecessor_dead:
        if (ask(whole, number(state.predecessor())) != Heard::dead) return;
        at(whole, n).doing = Doing::rectifying;
        at(whole, n).whom = static_cast<char>(candidate);
    }
  }

  static void adopt(Whole& whole, int n, int candidate) {
    if (ask(whole, candidate) == Heard::dead) return;
    RingState state = make(whole, n);
    state.set_predecessor(position(candidate));
    keep(whole, n, state);
  }

  /// The next question of an operation that has begun.
  static void go_on(Whole& whole, int n) {
    const Node before = at(whole, n);
    const int whom = before.whom;
    switch (before.doing) {
      case Doing::nothing:
        return;
      case Doing::stabilizing: {
        idle(at(whole, n));
        if (ask(whole, whom) == Heard::busy) return;
        RingState state = make(whole, n);
        if (ask(whole, whom) == Heard::dead) return notify(whole, number(state.successor()), n);
        state.from_predecessor(make(whole, whom).view());
        keep(whole, n, state);
        return notify(whole, whom, n);
      }
      case Doing::rectifying:
        idle(at(whole, n));
        return adopt(whole, n, whom);
      case Doing::joining:
        return ask_next(whole, n);
      case Doing::making_sure:
        return make_sure(whole, n);
    }
  }

  /// Whom m has after itself, but for n, which may be there from an earlier life.
  static int next_after(const Whole& whole, int m, int n) {
    const List& list = whole.nodes[static_cast<std::size_t>(m)].list;
    auto next = std::ranges::find_if(list, [n](char entry) { return entry != n; });
    return next == list.end() ? m : *next;
  }

  /// m would be who comes before n: Ring finds it by lookup, then walks backwards and forwards.
  static bool precedes(const Whole& whole, int m, int n) {
    return m != n && ask(whole, m) == Heard::member &&
           between(position(m).id, position(n).id, position(next_after(whole, m, n)).id);
  }

  static void begin_join(Whole& whole, int n, int m) {
    Node& node = at(whole, n);
    node.doing = Doing::joining;
    node.after = static_cast<char>(m);
    node.held = static_cast<char>(next_after(whole, m, n));
    node.carried = at(whole, m).list;
  }

  static void ask_next(Whole& whole, int n) {
    Node& node = at(whole, n);
    if (ask(whole, node.held) != Heard::member) return idle(node);
    node.doing = Doing::making_sure;
    node.carried = at(whole, node.held).list;
    // One answer says both.
    if (node.held == node.after) make_sure(whole, n);
  }

  static void make_sure(Whole& whole, int n) {
    const Node node = at(whole, n);
    idle(at(whole, n));
    if (ask(whole, node.after) != Heard::member || next_after(whole, node.after, n) != node.held) return;
    RingState state(position(n), kR);
    state.join(position(node.after), {position(node.held), {}, positions(node.carried)});
    keep(whole, n, state);
    notify(whole, node.held, n);
  }

  static void fail(Whole& whole, int n) { at(whole, n) = Node(); }

  /// What n has begun, to the end; and then whoever was told by it rectifies.
  void finish(Whole& whole, int n) const {
    for (int i = 0; i < ids_ && at(whole, n).doing != Doing::nothing; ++i) go_on(whole, n);
    for (int m = 0; m < ids_; ++m)
      for (int q = 0; q < ids_; ++q)
        if ((at(whole, m).candidates >> q & 1) != 0) {
          rectify(whole, m, q);
          if (at(whole, m).doing != Doing::nothing) go_on(whole, m);
        }
  }

  // ---- What must hold. ----

  static RingSnapshot snapshot_of(const Whole& whole) {
    RingSnapshot snapshot{.successor_nodes = kR, .live = {}, .in_flight = {}};
    for (std::size_t i = 0; i < whole.nodes.size(); ++i) {
      const Node& node = whole.nodes[i];
      if (node.member) snapshot.live.push_back(make(whole, static_cast<int>(i)).view());
      if (node.doing == Doing::joining || node.doing == Doing::making_sure)
        snapshot.in_flight.push_back(
            {position(node.doing == Doing::joining ? node.after : node.held), {}, positions(node.carried)});
    }
    return snapshot;
  }

  /// C16. In a small ring the proof does not reach: nobody dies there.
  static bool may_fail(const Whole& whole, int n) {
    if (!whole.ordinary) return false;
    Whole rest = whole;
    fail(rest, n);
    return check_invariant(snapshot_of(rest), RingMode::ordinary).empty();
  }

  const int ids_;
};
}  // namespace

std::unique_ptr<ExploredProtocol> our_protocol(int ids) {
  return std::make_unique<Ours>(ids);
}

}  // namespace chordfs
