#include "tools/sim/linearizable.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "proto/base/bytes.h"
#include "tools/sim/rng.h"

namespace chordfs {

History::Id History::invoke(Time now, RegisterOperation operation) {
  entries_.push_back({.operation = std::move(operation), .invoked_at = now, .invoked = ++events_});
  forgotten_.push_back(false);
  return entries_.size() - 1;
}

void History::returned(Time now, Id id) {
  entries_.at(id).returned_at = now;
  entries_.at(id).returned = ++events_;
}

void History::returned(Moment then, Id id) {
  entries_.at(id).returned_at = then.at;
  entries_.at(id).returned = then.event;
}

void History::returned_read(Time now, Id id, std::string value) {
  entries_.at(id).operation.value = std::move(value);
  returned(now, id);
}

void History::returned_cas(Time now, Id id, bool swapped) {
  entries_.at(id).operation.swapped = swapped;
  returned(now, id);
}

void History::forget(Id id) {
  forgotten_.at(id) = true;
}

namespace {

using Kind = RegisterOperation::Kind;
using Outcome = Verdict::Outcome;
using Entries = std::vector<const History::Entry*>;
constexpr std::uint64_t kForever = ~std::uint64_t{0};

/// One register's history up to and with the event `until`: what returned later is unknown there.
class Search {
 public:
  Search(const Entries& entries, std::uint64_t until) {
    const bool failed_cas = std::ranges::any_of(
        entries, [](const auto* e) { return e->operation.kind == Kind::cas && !e->operation.swapped; });
    std::unordered_set<std::string_view> observed;
    for (const auto* e : entries) {
      if (e->operation.kind == Kind::read) observed.insert(e->operation.value);
      if (e->operation.kind == Kind::cas) observed.insert(e->operation.expected);
    }
    for (const auto* e : entries) {
      if (e->invoked > until) continue;
      const bool known = e->returned && *e->returned <= until;
      const auto& operation = e->operation;
      if (!known && operation.kind == Kind::read) continue;
      // What may not have happened and nobody saw can only be needed to explain why a swap failed.
      if (!known && !failed_cas && !observed.contains(operation.value)) continue;
      add(*e, known);
    }
    link();
  }

  Outcome run();

 private:
  struct Operation {
    Kind kind;
    int value, expected;
    bool swapped, known;
    std::uint64_t signature, signature2;
  };
  struct Event {
    std::uint64_t stamp;
    std::size_t operation;
    bool is_return;
    std::size_t previous = 0, next = 0, partner = 0;
  };
  struct Signature {
    std::uint64_t a = 0, b = 0;
    bool operator==(const Signature&) const = default;
  };
  struct SignatureHash {
    std::size_t operator()(const Signature& s) const { return s.a; }
  };

  void add(const History::Entry& entry, bool known) {
    const auto& o = entry.operation;
    operations_.push_back({o.kind, number(o.value), number(o.expected), o.swapped, known, rng_.next(), rng_.next()});
    events_.push_back({entry.invoked, operations_.size() - 1, false});
    if (known) events_.push_back({*entry.returned, operations_.size() - 1, true});
    known_left_ += known;
  }

  int number(const std::string& value) {
    return numbers_.emplace(value, static_cast<int>(numbers_.size())).first->second;
  }

  // A list of calls and returns, in order of time, headed by event 0.
  void link() {
    events_.push_back({0, operations_.size(), true});
    std::ranges::sort(events_, {}, &Event::stamp);
    std::vector<std::size_t> calls(operations_.size());
    for (std::size_t i = 0; i < events_.size(); ++i) {
      auto& event = events_[i];
      event.previous = i == 0 ? 0 : i - 1;
      event.next = i + 1;
      if (i == 0) continue;
      if (!event.is_return)
        calls[event.operation] = i;
      else
        events_[calls[event.operation]].partner = i;
    }
  }

  void unlink(std::size_t at) {
    events_[events_[at].previous].next = events_[at].next;
    if (events_[at].next < events_.size()) events_[events_[at].next].previous = events_[at].previous;
  }
  void relink(std::size_t at) {
    events_[events_[at].previous].next = at;
    if (events_[at].next < events_.size()) events_[events_[at].next].previous = at;
  }

  /// The state after the operation, if it can happen in `state`.
  static std::optional<int> apply(const Operation& o, int state) {
    switch (o.kind) {
      case Kind::read:
        return o.value == state ? std::optional(state) : std::nullopt;
      case Kind::write:
        return o.value;
      case Kind::cas:
        // Of unknown outcome: if it did not swap it might as well not have happened.
        if (o.swapped || !o.known) return o.expected == state ? std::optional(o.value) : std::nullopt;
        return o.expected != state ? std::optional(state) : std::nullopt;
    }
    return std::nullopt;
  }

  bool is_new(const Signature& done, int state) {
    const auto mixed = static_cast<std::uint64_t>(state) * 0x9e3779b97f4a7c15;
    return seen_.insert({done.a ^ mixed, done.b + mixed}).second;
  }

  Rng rng_{1};
  std::unordered_map<std::string, int> numbers_{{"", 0}};
  std::vector<Operation> operations_;
  std::vector<Event> events_;
  std::size_t known_left_ = 0;
  /// Sets of operations done and the state after them, as 128 random bits each: equal sets have equal bits.
  std::unordered_set<Signature, SignatureHash> seen_;
};

Outcome Search::run() {
  struct Choice {
    std::size_t call;
    int state;
  };
  std::vector<Choice> choices;
  Signature done;
  int state = 0;
  std::size_t at = events_[0].next;
  while (known_left_ > 0) {
    if (at < events_.size() && !events_[at].is_return) {
      const auto& operation = operations_[events_[at].operation];
      const auto after = apply(operation, state);
      const Signature with{done.a ^ operation.signature, done.b ^ operation.signature2};
      if (!after || !is_new(with, *after)) {
        at = events_[at].next;
        continue;
      }
      if (seen_.size() > Verdict::kConfigurationsMax) return Outcome::gave_up;
      choices.push_back({at, state});
      state = *after;
      done = with;
      known_left_ -= operation.known;
      unlink(at);
      if (events_[at].partner != 0) unlink(events_[at].partner);
      at = events_[0].next;
      continue;
    }
    // Something has returned that no choice so far explains.
    if (choices.empty()) return Outcome::violated;
    const auto [call, before] = choices.back();
    choices.pop_back();
    const auto& operation = operations_[events_[call].operation];
    state = before;
    done = {done.a ^ operation.signature, done.b ^ operation.signature2};
    known_left_ += operation.known;
    if (events_[call].partner != 0) relink(events_[call].partner);
    relink(call);
    at = events_[call].next;
  }
  return Outcome::linearizable;
}

std::string brief(const std::string& value) {
  constexpr std::size_t kShown = 24;
  if (value.size() <= kShown) return fmt::format("\"{}\"", value);
  return fmt::format("\"{}…\" ({} bytes, {:08x})", value.substr(0, kShown), value.size(), crc32c(value));
}

std::string line(const History::Entry& e, std::uint64_t until) {
  const bool known = e.returned && *e.returned <= until;
  auto seconds = [](Time t) { return static_cast<double>(t.time_since_epoch().count()) / 1e9; };
  const auto& o = e.operation;
  std::string what;
  switch (o.kind) {
    case Kind::read:
      what = "read " + (known ? brief(o.value) : "?");
      break;
    case Kind::write:
      what = "write " + brief(o.value);
      break;
    case Kind::cas:
      what = fmt::format("cas {} to {}: {}", brief(o.expected), brief(o.value),
                         !known      ? "?"
                         : o.swapped ? "swapped"
                                     : "not swapped");
      break;
  }
  return fmt::format("  {:>12.6f} to {:>12} client {:<3} {}\n", seconds(e.invoked_at),
                     known ? fmt::format("{:.6f}", seconds(e.returned_at)) : "unknown", o.client, what);
}

/// Histories are closed under prefixes, so the first bad one can be found by halving.
std::uint64_t first_bad_event(const Entries& entries) {
  std::vector<std::uint64_t> returns;
  for (const auto* e : entries)
    if (e->returned) returns.push_back(*e->returned);
  std::ranges::sort(returns);
  return *std::ranges::partition_point(
      returns, [&](std::uint64_t until) { return Search(entries, until).run() != Outcome::violated; });
}

std::string explain(const std::string& key, Entries entries) {
  constexpr std::size_t kReadsTriedMax = 200;
  constexpr std::size_t kLinesMax = 30;
  const auto until = first_bad_event(entries);
  std::erase_if(entries, [until](const auto* e) { return e->invoked > until; });
  // Without a read a good history stays good: if it is bad without this one, this one does not matter.
  std::size_t tried = 0;
  for (std::size_t i = entries.size(); i-- > 0 && tried < kReadsTriedMax;) {
    if (entries[i]->operation.kind != Kind::read) continue;
    ++tried;
    auto fewer = entries;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    if (Search(fewer, until).run() == Outcome::violated) entries = std::move(fewer);
  }
  std::string out = fmt::format("register \"{}\": no order of these operations explains what they returned:\n", key);
  const std::size_t skipped = entries.size() - std::min(entries.size(), kLinesMax);
  if (skipped > 0) out += fmt::format("  … {} earlier\n", skipped);
  for (std::size_t i = skipped; i < entries.size(); ++i) out += line(*entries[i], until);
  return out;
}

}  // namespace

Verdict check_linearizable(const History& history) {
  std::map<std::string, Entries> registers;
  for (std::size_t i = 0; i < history.entries_.size(); ++i)
    if (!history.forgotten_[i]) registers[history.entries_[i].operation.key].push_back(&history.entries_[i]);
  Verdict verdict;
  for (const auto& [key, entries] : registers) {
    const auto outcome = Search(entries, kForever).run();
    if (outcome == Outcome::violated) return {outcome, explain(key, entries)};
    if (outcome == Outcome::gave_up) verdict = {outcome, "register \"" + key + "\": too many unknown operations"};
  }
  return verdict;
}

}  // namespace chordfs
