#include "proto/client/lookup.h"

#include <fmt/format.h>

#include <algorithm>

#include "proto/client/under_way.h"

namespace chordfs {

wire::LookupCounters to_wire(const LookupCounters& counters) {
  wire::LookupCounters wire;
  wire.set_lookups(counters.lookups);
  wire.set_local(counters.local);
  wire.set_cache_hits(counters.cache_hits);
  wire.set_hops(counters.hops);
  wire.set_timeouts(counters.timeouts);
  wire.set_overtaken(counters.overtaken);
  wire.set_stale(counters.stale);
  return wire;
}

void Candidates::offer(const Endpoint& at) {
  insert({.at = at});
}
void Candidates::offer(const Position& position, std::optional<Endpoint> named_by) {
  insert({.at = position.at, .position = position, .named_by = std::move(named_by)});
}
void Candidates::prefer(const Position& position) {
  insert({.at = position.at, .position = position, .preferred = true});
}

void Candidates::insert(Candidate candidate) {
  if (asked_.contains(candidate.at) || waiting_.size() >= kLookupCandidatesMax) return;
  waiting_.push_back(std::move(candidate));
}

std::optional<Candidates::Candidate> Candidates::next() {
  // A node answers for all of its positions at once: asking it a second time can bring nothing new.
  std::erase_if(waiting_, [this](const Candidate& c) { return asked_.contains(c.at); });
  if (waiting_.empty()) return std::nullopt;
  auto better = [this](const Candidate& a, const Candidate& b) {
    if (a.preferred != b.preferred) return a.preferred;
    if (!a.position || !b.position) return a.position.has_value() && !b.position.has_value();
    return target_ - a.position->id < target_ - b.position->id;
  };
  auto best = std::min_element(waiting_.begin(), waiting_.end(), better);  // The first of equals.
  Candidate candidate = std::move(*best);
  waiting_.erase(best);
  asked_.insert(candidate.at);
  return candidate;
}

struct Lookup::State {
  Runtime& runtime;
  Transport& transport;
  TaskGroup& asks;
  Config config;
  Id id;
  Candidates candidates;
  LookupCounters uncounted = {};  // When nobody counts.
  std::vector<Hop> hops = {};
  std::vector<Position> unreachable = {};
  std::vector<Endpoint> silent = {};
  std::optional<Position> closest = {};  // Before the target, of those who have answered.
  std::optional<Position> guess = {};    // The cache's.
  bool guess_wrong = false;              // It has answered, and is not the owner.
  std::optional<std::vector<Position>> found = {};
  Endpoint found_at = {};
  int asking = 0;
  int telling = 0;
  std::optional<Candidates::Candidate> awaited = {};  // Asked last, and not yet silent for long.
  std::size_t awaited_hop = 0;
  Time patience_ends = {};
  Signal progress = {};

  LookupCounters& counters() { return config.counters ? *config.counters : uncounted; }
  bool is_unreachable(const Endpoint& at) const {
    return std::ranges::any_of(unreachable, [&](const Position& p) { return p.at == at; });
  }
  Duration timeout() const { return std::min(config.timeout, Duration(config.until - runtime.now())); }
  Request request() const;
  std::string_view take(const wire::FindReply& reply, const Endpoint& from);
  void begin_with_cache();
  void teach_cache();
};

Request Lookup::State::request() const {
  Request request;
  if (!config.ring.empty()) request.header.set_ring(config.ring.bytes());
  auto& find = *request.header.mutable_find();
  find.set_id(id.bytes());
  for (const Endpoint& at : silent) *find.add_silent() = to_peer(Uuid(), at);
  return request;
}

/// The outcome of the hop.
std::string_view Lookup::State::take(const wire::FindReply& reply, const Endpoint& from) {
  std::vector<Position> positions;
  for (const auto& wire : reply.positions())
    if (Position position; parse(wire, position)) positions.push_back(std::move(position));
  if (!reply.done()) {
    if (guess && from == guess->at) guess_wrong = true;
    for (std::size_t i = 0; i < std::min(positions.size(), kLookupCandidatesPerHop); ++i)
      candidates.offer(positions[i], from);
    return "next";
  }
  if (positions.empty()) return name_of(Errc::bad_message);
  if (!found) {
    found = std::move(positions);
    found_at = from;
  }
  return "owner";
}

void Lookup::State::begin_with_cache() {
  if (!config.locations) return;
  guess = config.locations->owner(id);
  if (guess) candidates.prefer(*guess);
  for (const Position& p : config.locations->preceding(id, kLookupCandidatesPerHop)) candidates.offer(p);
}

void Lookup::State::teach_cache() {
  if (!config.locations) return;
  bool right = guess && found && found->front().id == guess->id;
  if (right && found_at == guess->at) ++counters().cache_hits;
  if (guess && !right && (guess_wrong || found)) counters().stale += config.locations->drop_wrong(id, *guess);
  // The owner that others still name may be one that was just found dead.
  if (found && !is_unreachable(found->front().at)) config.locations->learn(id, *found);
}

Lookup::Lookup(Runtime& runtime, Transport& transport, TaskGroup& asks, Config config, const Id& id)
    : state_(std::make_shared<State>(runtime, transport, asks, config, id, Candidates(id))) {}

Lookup::~Lookup() = default;

Candidates& Lookup::candidates() {
  return state_->candidates;
}
const std::vector<Hop>& Lookup::hops() const {
  return state_->hops;
}
const std::vector<Position>& Lookup::unreachable() const {
  return state_->unreachable;
}
const std::vector<Endpoint>& Lookup::silent() const {
  return state_->silent;
}

void Lookup::avoid(const Endpoint& at) {
  state_->candidates.exclude(at);
  state_->silent.push_back(at);
}

awaitable<Result<std::vector<Position>>> Lookup::run() {
  auto state = state_;
  ++state->counters().lookups;
  state->begin_with_cache();
  Error ended{Errc::cancelled, fmt::format("look up {}", state->id.brief())};
  while (!state->found && !state->asks.stopping()) {
    bool may_ask = !state->awaited && state->asking < kLookupParallel && state->hops.size() < kLookupHopsMax &&
                   state->runtime.now() < state->config.until;
    if (auto candidate = may_ask ? state->candidates.next() : std::nullopt) {
      begin(*std::move(candidate));
    } else if (state->asking + state->telling != 0) {
      co_await wait();
    } else {
      ended.code = Errc::unavailable;
      ended.context += fmt::format(": nobody left to ask after {} hops", state->hops.size());
      break;
    }
  }
  state->teach_cache();
  if (!state->found) co_return ended;
  co_return *state->found;
}

void Lookup::begin(Candidates::Candidate candidate) {
  Hop hop{.node = candidate.at, .outcome = "no answer yet"};
  if (candidate.position) {
    hop.index = candidate.position->index;
    hop.position = candidate.position->id;
  }
  state_->hops.push_back(std::move(hop));
  state_->awaited = candidate;
  state_->awaited_hop = state_->hops.size() - 1;
  state_->patience_ends = state_->runtime.now() + state_->config.patience;
  state_->asks.spawn("lookup", ask(state_, std::move(candidate), state_->awaited_hop));
}

awaitable<void> Lookup::wait() {
  auto state = state_;
  if (!state->awaited) {
    co_await state->progress.wait();
    co_return;
  }
  Duration left = state->patience_ends - state->runtime.now();
  if (left > Duration::zero() && co_await state->progress.wait_for(state->runtime, left)) co_return;
  if (!state->awaited || state->runtime.now() < state->patience_ends) co_return;
  Hop& hop = state->hops[state->awaited_hop];
  hop.outcome = "overtaken";
  hop.took = state->config.patience;
  ++state->counters().overtaken;
  auto overtaken = *std::exchange(state->awaited, std::nullopt);
  unheard(state, overtaken);
}

/// It is dead or slow: whoever named it should know, and name another.
void Lookup::unheard(const std::shared_ptr<State>& state, const Candidates::Candidate& candidate) {
  auto& silent = state->silent;
  if (silent.size() >= kLookupSilentMax || std::ranges::find(silent, candidate.at) != silent.end()) return;
  silent.push_back(candidate.at);
  if (candidate.named_by) state->asks.spawn("lookup news", tell(state, *candidate.named_by));
  // Somebody farther back may have named it. The closest that lives is who says whose the target is, once it knows that
  // all behind it are silent.
  const auto& closest = state->closest;
  if (closest && closest->at != candidate.named_by && candidate.position &&
      state->id - candidate.position->id < state->id - closest->id)
    state->asks.spawn("lookup news", tell(state, closest->at));
}

awaitable<void> Lookup::ask(std::shared_ptr<State> state, Candidates::Candidate candidate, std::size_t hop_index) {
  UnderWay asking(state->asking, state->progress);
  Time asked = state->runtime.now();
  auto called = co_await state->transport.call(candidate.at, state->request(), state->timeout());
  auto reply = answered(std::move(called));

  Hop& hop = state->hops[hop_index];
  hop.took = state->runtime.now() - asked;
  if (state->awaited && state->awaited_hop == hop_index) state->awaited.reset();
  if (reply.code() == Errc::cancelled) co_return;
  if (reply.code() != Errc::unreachable && reply.code() != Errc::timed_out) {
    ++state->counters().hops;
    std::erase(state->silent, candidate.at);
    if (!reply && candidate.preferred) state->guess_wrong = true;
    hop.outcome = reply ? state->take(reply->header.find(), candidate.at) : name_of(reply.code());
    if (reply && candidate.position && !candidate.preferred &&
        (!state->closest || state->id - candidate.position->id < state->id - state->closest->id))
      state->closest = candidate.position;
    co_return;
  }
  ++state->counters().timeouts;
  hop.outcome = name_of(reply.code());
  if (reply.code() == Errc::unreachable) {
    if (candidate.position) state->unreachable.push_back(*candidate.position);
    if (state->config.locations) state->counters().stale += state->config.locations->forget(candidate.at);
  }
  unheard(state, candidate);
}

awaitable<void> Lookup::tell(std::shared_ptr<State> state, Endpoint namer) {
  UnderWay telling(state->telling, state->progress);
  auto called = co_await state->transport.call(namer, state->request(), state->timeout());
  auto reply = answered(std::move(called));
  if (reply) state->take(reply->header.find(), namer);
}

}  // namespace chordfs
