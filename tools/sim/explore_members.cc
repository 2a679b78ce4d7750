// One arc whose members change, for the explorer. Every decision is taken by Raft and next_step() themselves; Member is
// what Arcs do around them.
//
// What happens, in any order: a message arrives, or does later, or never; a heartbeat; an election begins; a leader
// takes the next step to the view that is wished; a learner fetches the records; and, each a few times (Budget), a
// message arrives twice, a node crashes and loses what was not synced, an event's writes wait, a client proposes. The
// wish changes under way. Bounds: kTermMax, kIndexMax, kUnderWayMax; a history that would pass the first two ends
// there, of messages beyond the third those known longest are lost, as are those that nobody would look at any more.
//
// It begins everywhere on the straight ways (Way): from the first view through all wishes without a fault, and those on
// which the leader dies at any moment and another goes on. So what is far from the beginning is near to a start.
//
// After every step, of everybody: I1 (one leader of a term), I2 (one entry at an index), I3 (committed by a leader: of
// its own term, durable on a majority), I5 (nothing acknowledged that the disk has not, nothing committed erased), I6,
// I7 (no generation twice), I8 (views follow one another by the rules), I10 (only whom a committed entry made is
// spoken to, and stands).
//
// A state is a few numbers: of members and messages as they were met. What an event makes of a member is found out
// once.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "proto/base/check.h"
#include "tools/sim/explore.h"
#include "tools/sim/member.h"

namespace chordfs {

namespace {
constexpr std::size_t kNodesMax = 4;
constexpr std::uint64_t kTermMax = 4;
constexpr std::uint64_t kIndexMax = 11;
constexpr std::size_t kUnderWayMax = 5;
constexpr int kStraightMax = 300;

using Number = std::uint32_t;

struct Budget {
  std::uint8_t crashes = 2, duplicates = 1, late = 1, proposals = 1;
};

struct Scenario {
  int nodes;
  std::vector<int> voters;
  std::vector<Member::Wish> wishes;
};

/// Of so many nodes: to grow and to shrink; a leader that leaves; one replaced, and added again.
const std::vector<Scenario>& scenarios_of(int nodes) {
  static const std::vector<Scenario> three{
      {3, {0}, {{{0, 1, 2}, {}}, {{0, 1}, {2}}}},
      {3, {0, 1, 2}, {{{1, 2}, {0}}, {{1, 2, 0}, {}}}},
  };
  static const std::vector<Scenario> four{
      {4, {0, 1, 2}, {{{0, 1, 3}, {}}, {{0, 1, 2}, {}}}},
      {4, {0, 1, 2}, {{{3, 1, 2}, {0}}}},
  };
  return nodes == 3 ? three : four;
}

enum class Verb : std::uint8_t { deliver, tick, sync, crash, start, propose, change, fetch };

/// Things met so far, by what tells them apart.
template <class T>
class Met {
 public:
  Number number(const std::string& print, const auto& make) {
    auto [at, fresh] = numbers_.emplace(print, static_cast<Number>(all_.size()));
    if (fresh) all_.push_back(make());
    return at->second;
  }
  const T& operator[](Number number) const { return all_[number]; }
  std::size_t size() const { return all_.size(); }

 private:
  std::unordered_map<std::string, Number> numbers_;
  std::deque<T> all_;
};

/// What has been committed, whoever knows it.
struct Truth {
  std::vector<LogEntry> entries{2};  ///< By index; those of the beginning are not looked at.
  ArcView view;
  std::map<std::uint64_t, int> leaders;

  std::string print() const {
    std::string text;
    for (const auto& entry : entries)
      text += fmt::format("{} {} {} ", entry.term, static_cast<int>(entry.kind), entry.payload);
    for (const auto& [term, who] : leaders) text += fmt::format("; {} {}", term, who);
    return text + view.text();
  }
};

struct Whole {
  std::array<Number, kNodesMax> members{};
  Number truth = 0, broken = 0;
  std::uint8_t scenario = 0, wish = 0;
  Budget left;
  std::vector<Number> under_way;  ///< By number: each message once.
};

/// How a history goes on of itself: in this order of preference, of equal steps the first, and never back.
struct Way {
  bool eager;              ///< A leader takes the next step to another view before anything arrives; or when all has.
  bool last_first;         ///< What was said last arrives first.
  bool back_first = true;  ///< Who is down starts again before the others elect anybody.
};

class ArcMembers final : public Explored {
 public:
  explicit ArcMembers(int nodes) : nodes_(static_cast<std::size_t>(nodes)), scenarios_(scenarios_of(nodes)) {
    broken_.number("", [] { return std::string(); });
  }

  std::vector<State> starts() const override;
  std::vector<Step> steps(const State& state) const override;
  std::string broken(const State& state) const override { return broken_[decode(state).broken]; }
  bool right(const State& state) const override;
  std::string text(const State& state) const override;

 private:
  struct Message {
    Member::Message message;
    std::string text;
  };
  struct Outcome {
    Number member = 0;
    std::vector<Number> said;
    Member::Did did;  ///< What it said is in `said`.
  };
  struct Event {
    Verb verb;
    std::uint32_t argument = 0;
    bool late = false;
  };

  State encode(const Whole& whole) const;
  Whole decode(const State& state) const;
  Number number_of(Member member) const;
  Number number_of(const Member::Message& message) const;
  const Outcome& happens(Number member, const Event& event) const;
  Outcome find_out(const Member& before, const Event& event) const;
  /// Nothing if it leads beyond the bounds.
  std::optional<Whole> after(const Whole& whole, std::size_t node, const Event& event) const;
  void judge(Whole& whole, std::size_t node, const Member& before, const Outcome& outcome) const;
  void lose_needless(Whole& whole) const;
  std::vector<State> go(State from, const Way& way) const;
  bool led(const Whole& whole) const;
  void add_deaths(const State& state, const Way& way, const auto& add) const;
  const Scenario& scenario(const Whole& whole) const { return scenarios_[whole.scenario]; }
  const Member& member(const Whole& whole, std::size_t node) const { return members_[whole.members[node]]; }
  static std::uint32_t argument_of(const Whole& whole, std::uint32_t up, bool given_up, bool overdue) {
    return whole.scenario | whole.wish << 4U | up << 8U | static_cast<std::uint32_t>(given_up) << 16U |
           static_cast<std::uint32_t>(overdue) << 17U;
  }
  Member::Seen seen_of(std::uint32_t argument) const {
    Member::Seen seen{.up = {}, .given_up = (argument >> 16U & 1U) != 0, .overdue = (argument >> 17U & 1U) != 0};
    for (std::size_t n = 0; n < nodes_; ++n) seen.up.push_back((argument >> (8U + n) & 1U) != 0);
    return seen;
  }

  const std::size_t nodes_;
  const std::vector<Scenario>& scenarios_;
  // What was found out; the same questions have the same answers.
  mutable Met<Member> members_;
  mutable Met<Message> messages_;
  mutable Met<Truth> truths_;
  mutable Met<std::string> broken_;
  mutable std::unordered_map<std::uint64_t, Outcome> outcomes_;
};

// ---- States as bytes ----

Explored::State ArcMembers::encode(const Whole& whole) const {
  State state;
  auto number = [&](Number value) { state.append(reinterpret_cast<const char*>(&value), sizeof value); };
  for (std::size_t n = 0; n < nodes_; ++n) number(whole.members[n]);
  number(whole.truth), number(whole.broken);
  for (auto byte :
       {whole.scenario, whole.wish, whole.left.crashes, whole.left.duplicates, whole.left.late, whole.left.proposals})
    state.push_back(static_cast<char>(byte));
  for (auto message : whole.under_way) number(message);
  return state;
}

Whole ArcMembers::decode(const State& state) const {
  Whole whole;
  const char* at = state.data();
  auto number = [&] {
    Number value = 0;
    std::copy_n(at, sizeof value, reinterpret_cast<char*>(&value));
    at += sizeof value;
    return value;
  };
  for (std::size_t n = 0; n < nodes_; ++n) whole.members[n] = number();
  whole.truth = number(), whole.broken = number();
  for (auto* byte : {&whole.scenario, &whole.wish, &whole.left.crashes, &whole.left.duplicates, &whole.left.late,
                     &whole.left.proposals})
    *byte = static_cast<std::uint8_t>(*at++);
  while (at != state.data() + state.size()) whole.under_way.push_back(number());
  return whole;
}

Number ArcMembers::number_of(Member member) const {
  return members_.number(member.fingerprint(), [&] { return std::move(member); });
}

Number ArcMembers::number_of(const Member::Message& message) const {
  const auto print = fmt::format("{} {} {}", message.from, message.to, message.raft.SerializeAsString());
  return messages_.number(print, [&] {
    const auto& raft = message.raft;
    return Message{message, fmt::format("{}{} {} to {} (term {}, {}.{}, commit {}, {} entries)",
                                        wire::RaftMessage::Kind_Name(raft.kind()), raft.reject() ? " no" : "",
                                        message.from, message.to, raft.term(), raft.log_term(), raft.log_index(),
                                        raft.commit(), raft.entries_size())};
  });
}

// ---- Steps ----

const ArcMembers::Outcome& ArcMembers::happens(Number member, const Event& event) const {
  CHECK(event.argument < 1U << 26U);
  const auto key = std::uint64_t{member} << 32U | std::uint64_t{event.argument} << 5U |
                   static_cast<std::uint64_t>(event.verb) << 1U | static_cast<std::uint64_t>(event.late);
  auto found = outcomes_.find(key);
  if (found == outcomes_.end()) found = outcomes_.emplace(key, find_out(members_[member], event)).first;
  return found->second;
}

ArcMembers::Outcome ArcMembers::find_out(const Member& before, const Event& event) const {
  auto member = before;
  Outcome outcome;
  switch (event.verb) {
    case Verb::deliver:
      outcome.did = member.deliver(messages_[event.argument].message, event.late);
      break;
    case Verb::tick:
      outcome.did = member.tick(event.late);
      break;
    case Verb::sync:
      outcome.did = member.sync();
      break;
    case Verb::crash:
      member.crash();
      break;
    case Verb::start:
      outcome.did = member.start();
      break;
    case Verb::propose:
      outcome.did = member.propose(event.late);
      break;
    case Verb::change: {
      const auto& wishes = scenarios_[event.argument & 15U].wishes;
      outcome.did = member.change(wishes[event.argument >> 4U & 15U], seen_of(event.argument), event.late);
      break;
    }
    case Verb::fetch:
      outcome.did = member.fetch(members_[event.argument]);
      break;
  }
  for (const auto& message : std::exchange(outcome.did.said, {})) outcome.said.push_back(number_of(message));
  outcome.member = number_of(std::move(member));
  return outcome;
}

std::optional<Whole> ArcMembers::after(const Whole& whole, std::size_t node, const Event& event) const {
  const auto& outcome = happens(whole.members[node], event);
  const auto& next = members_[outcome.member];
  if (next.raft() && (next.raft()->term() > kTermMax || next.raft()->log().last() > kIndexMax)) return std::nullopt;
  auto changed = whole;
  changed.members[node] = outcome.member;
  judge(changed, node, members_[whole.members[node]], outcome);
  auto& under_way = changed.under_way;
  under_way.insert(under_way.end(), outcome.said.begin(), outcome.said.end());
  lose_needless(changed);
  return changed;
}

void ArcMembers::lose_needless(Whole& whole) const {
  auto& under_way = whole.under_way;
  std::ranges::sort(under_way);
  under_way.erase(std::unique(under_way.begin(), under_way.end()), under_way.end());
  std::erase_if(under_way, [&](Number number) {
    const auto& message = messages_[number].message;
    const auto& disk = member(whole, static_cast<std::size_t>(message.to)).disk();
    using wire::RaftMessage;
    const auto kind = message.raft.kind();
    const bool reply = kind == RaftMessage::APPEND_REPLY || kind == RaftMessage::VOTE_REPLY ||
                       kind == RaftMessage::PRE_VOTE_REPLY || kind == RaftMessage::TIMEOUT_NOW;
    return Generation{message.raft.to_term(), message.raft.to_index()} < disk.highest ||
           (reply && message.raft.term() < disk.hard.term);
  });
  if (under_way.size() > kUnderWayMax)
    under_way.erase(under_way.begin(), under_way.end() - static_cast<std::ptrdiff_t>(kUnderWayMax));
}

std::vector<Explored::Step> ArcMembers::steps(const State& state) const {
  const auto whole = decode(state);
  std::vector<Step> steps;
  if (whole.broken != 0) return steps;
  auto offer = [&](std::string name, bool repair, const Whole& next) {
    if (auto coded = encode(next); coded != state) steps.push_back({std::move(name), repair, std::move(coded)});
  };
  /// And, as far as the budget goes, with its writes waiting.
  auto run = [&](const std::string& name, std::size_t node, Event event, const Whole& from) {
    if (auto next = after(from, node, event)) offer(name, true, *next);
    if (whole.left.late == 0 || event.verb == Verb::sync || event.verb == Verb::crash || event.verb == Verb::start ||
        event.verb == Verb::fetch)
      return;
    event.late = true;
    if (auto next = after(from, node, event); next && member(*next, node).unsynced()) {
      --next->left.late;
      offer(name + ", not synced", false, *next);
    }
  };
  for (auto number : whole.under_way) {
    const auto& [message, text] = messages_[number];
    const auto to = static_cast<std::size_t>(message.to);
    if (!member(whole, to).up()) continue;
    auto taken = whole;
    std::erase(taken.under_way, number);
    const Event event{Verb::deliver, number};
    run("deliver " + text, to, event, taken);
    if (whole.left.duplicates == 0) continue;
    if (auto next = after(whole, to, event)) {
      --next->left.duplicates;
      offer("duplicate " + text, false, *next);
    }
  }
  std::uint32_t up = 0;
  for (std::size_t n = 0; n < nodes_; ++n) up |= static_cast<std::uint32_t>(member(whole, n).up()) << n;
  const bool all_up = up == (1U << nodes_) - 1;
  for (std::size_t n = 0; n < nodes_; ++n) {
    const auto& one = member(whole, n);
    if (!one.up()) {
      run(fmt::format("start {}", n), n, {Verb::start}, whole);
      continue;
    }
    if (whole.left.crashes > 0)
      if (auto next = after(whole, n, {Verb::crash})) {
        --next->left.crashes;
        offer(fmt::format("crash {}", n), false, *next);
      }
    if (one.unsynced()) run(fmt::format("sync {}", n), n, {Verb::sync}, whole);
    if (!one.raft()) continue;
    run(fmt::format("{} {}", one.raft()->leads() ? "heartbeat" : "election", n), n, {Verb::tick}, whole);
    if (one.wants())
      run(fmt::format("fetch {}", n), n,
          {Verb::fetch, whole.members[static_cast<std::size_t>(*explored_number(one.wants()->node))]}, whole);
    if (!one.raft()->ready()) continue;
    if (whole.left.proposals > 0)
      if (auto next = after(whole, n, {Verb::propose})) {
        --next->left.proposals;
        offer(fmt::format("propose {}", n), false, *next);
      }
    for (const bool given_up : {false, true})
      for (const bool overdue : {false, true})
        if ((!given_up || !all_up) && (!overdue || (one.raft()->view().joint() && !one.raft()->view_committed())))
          run(fmt::format("change {}{}{}", n, given_up ? ", some given up" : "", overdue ? ", overdue" : ""), n,
              {Verb::change, argument_of(whole, up, given_up, overdue)}, whole);
  }
  if (whole.wish + 1U < scenario(whole).wishes.size()) {
    auto next = whole;
    ++next.wish;
    offer("wish", true, next);
  }
  return steps;
}

// ---- What must hold ----

void ArcMembers::judge(Whole& whole, std::size_t node, const Member& before, const Outcome& outcome) const {
  const auto& after = members_[outcome.member];
  std::string wrong = outcome.did.wrong;
  auto fail = [&](std::string what) {
    if (wrong.empty()) wrong = std::move(what);
  };
  auto truth = truths_[whole.truth];
  bool news = false;
  if (const auto& raft = after.raft()) {
    const auto& log = raft->log();
    if (raft->leads()) {
      const auto [leader, fresh] = truth.leaders.emplace(raft->term(), static_cast<int>(node));
      news |= fresh;
      if (leader->second != static_cast<int>(node)) fail(fmt::format("I1: two leaders of term {}", raft->term()));
    }
    if (raft->leads() && before.raft() && raft->commit() > before.raft()->commit()) {
      const auto index = raft->commit(), term = log.term_at(index).value_or(0);
      if (term != raft->term()) fail(fmt::format("I3: {} commits {} of term {} by counting", node, index, term));
      if (!majority(raft->view(), [&](const Replica& one) {
            const auto& disk = member(whole, static_cast<std::size_t>(*explored_number(one.node))).disk();
            return disk.replica && disk.generation == one.generation && disk.has(index, term);
          }))
        fail(fmt::format("I3: {} of term {} is committed by {}, and not durable in {}", index, term, node,
                         raft->view().text()));
    }
    for (auto index = std::max<std::uint64_t>(log.base(), 1) + 1; index <= raft->commit(); ++index) {
      const auto& entry = log.at(index);
      if (index > truth.entries.size()) {
        fail(fmt::format("a gap before the committed entry {}", index));
        break;
      }
      if (index < truth.entries.size()) {
        const auto& known = truth.entries[index];
        if (known.term != entry.term || known.kind != entry.kind || known.payload != entry.payload)
          fail(
              fmt::format("I2: {} commits another entry {}: term {}, and was {}", node, index, entry.term, known.term));
        continue;
      }
      news = true;
      truth.entries.push_back(entry);
      if (entry.kind != EntryKind::view) continue;
      const auto& view = log.view_at(index);
      const auto& wishes = scenario(whole).wishes;
      if (auto what = wrong_view(truth.view, view,
                                 [&](const Uuid& one) {
                                   return std::ranges::any_of(
                                       wishes.begin(), wishes.begin() + whole.wish + 1, [&](const Member::Wish& wish) {
                                         return std::ranges::count(wish.leaving, explored_number(one).value_or(-1)) > 0;
                                       });
                                 });
          !what.empty())
        fail(std::move(what));
      truth.view = view;
    }
    if (raft->committed_here() >= truth.entries.size())
      fail(fmt::format("I2: {} may apply {}, which nobody committed", node, raft->committed_here()));
  }
  for (const auto& [index, entry] : outcome.did.erased)
    if (index < truth.entries.size() && hash_of(truth.entries[index]) == hash_of(entry))
      fail(fmt::format("I5: {} erases the committed entry {}", node, index));
  for (const auto& made : outcome.did.made) {
    const auto replica = explored_replica(static_cast<int>(node), made);
    const auto* entry = made.index < truth.entries.size() ? &truth.entries[made.index] : nullptr;
    const auto view = entry != nullptr && entry->kind == EntryKind::view ? view_from(entry->payload) : std::nullopt;
    if (!view || entry->term != made.term || !view->has(replica))
      fail(fmt::format("I10: {} stands with generation {}.{}, which no committed entry gave it", node, made.term,
                       made.index));
  }
  for (auto number : outcome.said) {
    const auto& message = messages_[number].message.raft;
    if ((message.kind() == wire::RaftMessage::APPEND || message.kind() == wire::RaftMessage::SNAPSHOT) &&
        message.to_index() >= truth.entries.size())
      fail(fmt::format("I10: {} speaks to {} of an entry that is not committed", node, message.to_index()));
  }
  if (news) whole.truth = truths_.number(truth.print(), [&] { return truth; });
  if (!wrong.empty()) whole.broken = broken_.number(wrong, [&] { return wrong; });
}

bool ArcMembers::right(const State& state) const {
  const auto whole = decode(state);
  const auto& wishes = scenario(whole).wishes;
  if (whole.wish + 1U != wishes.size()) return false;
  const Member::Seen all{.up = std::vector<bool>(nodes_, true)};
  for (std::size_t n = 0; n < nodes_; ++n) {
    const auto& raft = member(whole, n).raft();
    if (!raft || !raft->ready() || !raft->view_committed() || raft->view().joint()) continue;
    const auto& desired = wishes.back().desired;
    if (member(whole, n).next_view(wishes.back(), all).settled() &&
        std::ranges::all_of(desired, [&](int one) { return raft->view().find(explored_replica(one).node) != nullptr; }))
      return true;
  }
  return false;
}

std::string ArcMembers::text(const State& state) const {
  const auto whole = decode(state);
  auto text = fmt::format("wish {}", whole.wish);
  for (std::size_t n = 0; n < nodes_; ++n) text += "; " + member(whole, n).text();
  for (auto message : whole.under_way) text += "; " + messages_[message].text;
  return text;
}

// ---- Where it begins ----

bool ArcMembers::led(const Whole& whole) const {
  for (std::size_t n = 0; n < nodes_; ++n)
    if (const auto& raft = member(whole, n).raft(); raft && raft->ready()) return true;
  return false;
}

std::vector<Explored::State> ArcMembers::go(State from, const Way& way) const {
  std::vector<std::string_view> order{"deliver", "fetch", "change", "heartbeat", "wish", "start", "election"};
  if (way.eager) std::swap(order[0], order[2]);
  if (!way.back_first) std::swap(order[5], order[6]);
  std::vector<State> states;
  std::unordered_set<State> been;
  for (int i = 0; i < kStraightMax; ++i) {
    been.insert(from);
    states.push_back(from);
    const bool led_now = led(decode(from));
    auto all = steps(from);
    const Step* best = nullptr;
    std::size_t best_rank = order.size();
    for (const auto& step : all) {
      if (!step.repair || been.contains(step.next)) continue;
      const auto verb = std::string_view(step.name).substr(0, step.name.find(' '));
      if (verb == (led_now ? "election" : "wish")) continue;
      const auto rank = static_cast<std::size_t>(std::ranges::find(order, verb) - order.begin());
      const bool later = way.last_first && verb == "deliver" && rank == best_rank;
      if (rank < best_rank || later) best = &step, best_rank = rank;
    }
    if (best == nullptr) break;
    from = best->next;
  }
  return states;
}

/// Where the ways go on whose leader dies in this state; what it said last arrives, or does not.
void ArcMembers::add_deaths(const State& state, const Way& way, const auto& add) const {
  const auto before = decode(state);
  for (std::size_t n = 0; n < nodes_; ++n) {
    const auto& raft = member(before, n).raft();
    if (!raft || !raft->leads()) continue;
    auto dead = after(before, n, {Verb::crash});
    if (!dead) continue;
    --dead->left.crashes;
    for (const bool lost : {false, true}) {
      if (lost)
        std::erase_if(dead->under_way,
                      [&](Number message) { return messages_[message].message.from == static_cast<int>(n); });
      for (const bool back_first : {false, true}) add(go(encode(*dead), {way.eager, way.last_first, back_first}));
    }
  }
}

std::vector<Explored::State> ArcMembers::starts() const {
  std::vector<State> all;
  std::unordered_set<State> seen;
  auto add = [&](const std::vector<State>& way) {
    for (const auto& state : way)
      if (seen.insert(state).second) all.push_back(state);
  };
  // What is found already need not be looked for from further states.
  const auto found = [&] { return broken_.size() > 1; };
  for (std::size_t s = 0; s < scenarios_.size(); ++s) {
    Truth truth;
    for (int voter : scenarios_[s].voters) truth.view.voters.push_back(explored_replica(voter));
    Whole whole{.scenario = static_cast<std::uint8_t>(s)};
    whole.truth = truths_.number(truth.print(), [&] { return truth; });
    for (std::size_t n = 0; n < nodes_; ++n) {
      Member member(static_cast<int>(n));
      member.begin(truth.view);
      whole.members[n] = number_of(std::move(member));
    }
    for (const bool eager : {false, true})
      for (const bool last_first : {false, true}) {
        const auto way = go(encode(whole), {eager, last_first});
        add(way);
        for (const auto& state : way)
          if (!found()) add_deaths(state, {eager, last_first}, add);
      }
  }
  return all;
}
}  // namespace

std::span<const FoundInMembers> found_in_members() {
  static constexpr std::array kFound = {
      FoundInMembers{Defect::ack_before_fsync, 3},          FoundInMembers{Defect::vote_not_persisted, 3},
      FoundInMembers{Defect::no_joint_consensus, 3},        FoundInMembers{Defect::append_before_joint_commits, 3},
      FoundInMembers{Defect::old_term_counted, 3},          FoundInMembers{Defect::applied_before_commit, 3},
      FoundInMembers{Defect::generation_reused, 3},         FoundInMembers{Defect::early_contact, 3},
      FoundInMembers{Defect::quorum_shrunk_on_suspicion, 4}};
  return kFound;
}

std::unique_ptr<Explored> arc_members(int nodes) {
  CHECK(nodes == 3 || nodes == 4);
  return std::make_unique<ArcMembers>(nodes);
}

}  // namespace chordfs
