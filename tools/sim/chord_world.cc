#include "tools/sim/chord_world.h"

#include <fmt/format.h>

#include <algorithm>

#include "proto/base/check.h"

namespace chordfs {

namespace {
constexpr std::size_t kPortFirst = 6000;
constexpr Duration kJoinAgainAfter = 500ms;
constexpr Duration kLookEvery = 250ms;
constexpr Duration kLookupsMax = 10min;

bool read_view(const wire::Neighbours& wire, View& view) {
  if (!parse(wire.self(), view.self) || (!wire.busy() && !parse(wire.predecessor(), view.predecessor))) return false;
  for (const auto& successor : wire.successors())
    if (Position p; parse(successor, p)) view.successors.push_back(std::move(p));
  return true;
}

/// Kinds of call whose answers a position of the ring waits for in the middle of an operation.
bool may_change_state(std::uint32_t kind) {
  return kind == wire::Request::kNeighbours || kind == wire::Request::kFind || kind == wire::Request::kRingInfo;
}
}  // namespace

/// One process with nothing but a Ring in it.
class ChordWorld::RingProgram final : public Program, private Transport {
 public:
  RingProgram(ChordWorld& world, Index index, Runtime& runtime, Transport& transport)
      : world_(world),
        index_(index),
        runtime_(runtime),
        transport_(transport),
        ring_(runtime, *this, config(world, index)),
        tasks_(runtime) {
    world.slots_[index]->program = this;
  }

  awaitable<void> run() override {
    transport_.serve([this](Request request) { return dispatch(std::move(request)); });
    if (slot().founder && !slot().been_in) {
      ring_.create();
      ring_.start();
    } else {
      while (!co_await enter()) co_await runtime_.sleep(runtime_.jitter(kJoinAgainAfter));
    }
    while (!slot().leaving) co_await leave_.wait();
    while (!co_await ring_.leave()) co_await runtime_.sleep(kJoinAgainAfter);
    world_.left(index_);
  }
  awaitable<void> stop() override {
    tasks_.stop();
    co_await tasks_.join();
    co_await ring_.stop();
  }

  Ring& ring() { return ring_; }
  const Ring& ring() const { return ring_; }
  void leave() { leave_.notify_all(); }
  void look_up(std::vector<std::pair<Id, Id>> keys) {
    ++world_.lookups_open_;
    tasks_.spawn("lookups", look_up_all(std::move(keys)));
  }

 private:
  static RingConfig config(ChordWorld& world, Index index) {
    const Slot& slot = *world.slots_[index];
    RingConfig config{.self = to_peer(slot.identity, slot.host->endpoint()),
                      .positions = world.options_.positions,
                      .successor_nodes = world.options_.successor_nodes,
                      .fingers_every = world.options_.fingers_every,
                      .peers = slot.remembered};
    if (slot.founder || slot.been_in) config.ring = world.ring_id_;
    config.on_change = [&world, index] { world.changed(index); };
    return config;
  }
  Slot& slot() { return *world_.slots_[index_]; }

  awaitable<bool> enter() {
    auto door = world_.door(index_);
    if (slot().been_in && (slot().alone || !door)) co_return (co_await ring_.resume({})).has_value();
    if (!door) co_return false;
    co_return (co_await ring_.join({*door})).has_value();
  }

  // What a node's dispatcher does for its ring.
  awaitable<Reply> dispatch(Request request) {
    const std::string& sender = request.header.ring();
    if (!sender.empty() && !ring_.uuid().empty() && sender != ring_.uuid().bytes())
      co_return error_reply({Errc::wrong_ring, "another ring"});
    co_return co_await ring_.handle(std::move(request.header));
  }

  awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout) override {
    if (world_.options_.defect)
      if (auto planted = world_.options_.defect(index_, to, request)) co_return *std::move(planted);
    co_return co_await transport_.call(std::move(to), std::move(request), timeout);
  }
  void post(Endpoint to, Request request) override { transport_.post(std::move(to), std::move(request)); }
  void serve(Handler handler) override { transport_.serve(std::move(handler)); }

  awaitable<void> look_up_all(std::vector<std::pair<Id, Id>> keys) {
    auto& wrong = world_.lookups_wrong_;
    for (const auto& [key, owner] : keys) {
      auto found = co_await ring_.find_successor(key);
      if (!found)
        wrong += fmt::format("node {} does not find {}: {}\n", index_, key.brief(), found.error().text());
      else if (found->owner().id != owner)
        wrong += fmt::format("node {} finds {} for {}, which {} owns\n", index_, found->owner().id.brief(), key.brief(),
                             owner.brief());
    }
    --world_.lookups_open_;
  }

  ChordWorld& world_;
  const Index index_;
  Runtime& runtime_;
  Transport& transport_;
  Signal leave_;
  Ring ring_;
  TaskGroup tasks_;
};

ChordWorld::ChordWorld(ChordWorldOptions options)
    : options_(std::move(options)),
      ring_id_(0x72696e67, options_.seed + 1),
      doors_(Rng::derived(options_.seed, "doors")),
      sample_(Rng::derived(options_.seed, "lookups")),
      tracker_(options_.successor_nodes),
      world_(options_.seed) {
  world_.network().watch(this);
  world_.after_step([this] { check_step(); });
}

ChordWorld::~ChordWorld() {
  world_.network().watch(nullptr);
}

Uuid ChordWorld::identity(std::uint64_t seed, Index index) {
  auto rng = Rng::derived(seed, "identity", index);
  const std::uint64_t high = rng.next();
  return Uuid(high, rng.next());
}

// ---- What happens to nodes. ----

ChordWorld::Index ChordWorld::make_slot(bool founder) {
  const Index index = slots_.size();
  auto& slot = *slots_.emplace_back(std::make_unique<Slot>());
  slot.identity = identity(options_.seed, index);
  slot.founder = founder;
  // The checkers name nodes by their ports.
  Endpoint endpoint{fmt::format("10.0.{}.{}", index / 250, index % 250),
                    static_cast<std::uint16_t>(kPortFirst + index)};
  slot.host = &world_.add_host({.endpoint = endpoint, .program = [this, index](Runtime& runtime, Transport& transport) {
                                  return std::make_unique<RingProgram>(*this, index, runtime, transport);
                                }});
  CHECK(slot.host->index() == index, "a host that is no node");
  slot.host->on_death([this, index](SimHost::Death) { died(index); });
  slot.rules = StepRules(slot.identity, options_.successor_nodes);
  slot.host->start();
  return index;
}

ChordWorld::Index ChordWorld::found() {
  CHECK(slots_.empty(), "a second ring is not meant");
  return make_slot(true);
}

ChordWorld::Index ChordWorld::add_node() {
  world_.note(fmt::format("node {} is to join", slots_.size()));
  return make_slot(false);
}

void ChordWorld::leave(Index index) {
  auto& slot = *slots_.at(index);
  if (std::exchange(slot.leaving, true)) return;
  world_.note(fmt::format("node {} is asked to leave", index));
  if (options_.theorem && tracker_.principal_nodes() <= options_.successor_nodes + 1) {
    shrinking_ = true;
    mode_ = RingMode::small;
  }
  // Until the last one has heard of it, it may list nobody but the leaver: no rule holds of a ring of one dead and one.
  if (std::ranges::count_if(slots_, [](const auto& other) { return !other->gone && !other->leaving; }) <= 1)
    alone_soon_ = true;
  if (slot.program != nullptr) slot.program->leave();
}

void ChordWorld::crash(Index index, SimHost::Death death) {
  if (death == SimHost::Death::process)
    host(index).crash();
  else
    host(index).power_off();
}

void ChordWorld::restart(Index index, bool alone) {
  auto& slot = *slots_.at(index);
  if (slot.gone || slot.host->alive()) return;
  world_.note(fmt::format("node {} starts again", index));
  slot.alone = alone;
  slot.rules = StepRules(slot.identity, options_.successor_nodes);
  slot.host->start();
}

void ChordWorld::died(Index index) {
  auto& slot = *slots_[index];
  world_.note(fmt::format("node {} dies", index));
  if (slot.program != nullptr) slot.remembered = slot.program->ring().known_peers();
  slot.program = nullptr;
  slot.outstanding = slot.asking = 0;
  for (const View& view : slot.rules.members()) tracker_.gone(view.self.id);
  for (auto carried : std::exchange(slot.held, {})) tracker_.drop(carried);
  std::erase_if(flights_, [&](const auto& flight) {
    if (flight.second.to != index) return false;
    tracker_.drop(flight.second.carried);
    return true;
  });
  dirty_ = true;
}

void ChordWorld::left(Index index) {
  auto& slot = *slots_[index];
  slot.gone = true;
  if (std::ranges::none_of(slots_, [](const auto& other) { return other->leaving && !other->gone; }))
    shrinking_ = false;
  // Not from within its own coroutine.
  world_.after({}, [&slot] {
    if (slot.host->alive()) slot.host->crash();
  });
}

std::optional<Endpoint> ChordWorld::door(Index of) {
  std::vector<Index> open;
  for (Index i = 0; i < slots_.size(); ++i)
    if (i != of && slots_[i]->program != nullptr && !slots_[i]->leaving && !slots_[i]->rules.members().empty())
      open.push_back(i);
  if (open.empty()) return std::nullopt;
  return slots_[open[doors_.below(open.size())]]->host->endpoint();
}

// ---- What is so. ----

bool ChordWorld::joined(Index index) const {
  const RingProgram* program = slots_.at(index)->program;
  return program != nullptr && program->ring().joined();
}

Ring* ChordWorld::ring(Index index) {
  auto* program = slots_.at(index)->program;
  return program == nullptr ? nullptr : &program->ring();
}

std::vector<ChordWorld::Index> ChordWorld::joined_nodes() const {
  std::vector<Index> nodes;
  for (Index i = 0; i < slots_.size(); ++i)
    if (!slots_[i]->leaving && joined(i)) nodes.push_back(i);
  return nodes;
}

std::vector<ChordWorld::Index> ChordWorld::nodes() const {
  std::vector<Index> nodes;
  for (Index i = 0; i < slots_.size(); ++i)
    if (!slots_[i]->gone) nodes.push_back(i);
  return nodes;
}

RingSnapshot ChordWorld::without(Index index, Leavers leavers, bool sudden) const {
  // One that dies reads no more, but what it has sent is still read; one that leaves goes on reading for a while.
  std::set<InvariantTracker::Carried> unread;
  if (sudden) {
    unread.insert(slots_[index]->held.begin(), slots_[index]->held.end());
    for (const auto& [number, flight] : flights_)
      if (flight.to == index) unread.insert(flight.carried);
  }
  auto rest = tracker_.snapshot(unread);
  std::erase_if(rest.live, [&](const View& view) {
    const auto& slot = slots_[view.self.at.port - kPortFirst];
    return slot == slots_[index] || (slot->leaving && leavers == Leavers::gone);
  });
  return rest;
}

/// Nobody comes or goes.
bool ChordWorld::calm() const {
  for (Index i = 0; i < slots_.size(); ++i)
    if (!slots_[i]->gone && (slots_[i]->leaving || !joined(i))) return false;
  return true;
}

bool ChordWorld::may_fail(Index index) const {
  auto rest = without(index, Leavers::gone, true);
  if (rest.live.empty()) return false;
  // A small ring's joiner may hold a list of a single member: nobody dies while anybody comes or goes.
  if (mode_ == RingMode::small && !(calm() && check_ideal(tracker_.snapshot()).empty())) return false;
  // One that is leaving may wait long before it goes, and its list counts until then.
  return check_invariant(rest, mode_).empty() && check_invariant(without(index, Leavers::there, true), mode_).empty();
}

bool ChordWorld::may_leave(Index index) const {
  auto rest = without(index, Leavers::gone, false);
  if (rest.live.empty() || !joined(index)) return false;
  if (mode_ == RingMode::ordinary && check_invariant(rest, mode_).empty() &&
      check_invariant(without(index, Leavers::there, false), mode_).empty())
    return true;
  return calm() && check_ideal(tracker_.snapshot()).empty();
}

// ---- Checks ----

void ChordWorld::changed(Index index) {
  auto& slot = *slots_[index];
  if (slot.program == nullptr) return;
  ++changes_;
  dirty_ = true;
  auto before = slot.rules.members();
  auto now = slot.program->ring().members();
  for (const View& view : before)
    if (std::ranges::find(now, view.self.id, [](const View& v) { return v.self.id; }) == now.end())
      tracker_.gone(view.self.id);
  for (const View& view : now) {
    tracker_.member(view);
    for (auto& violation : check_structure(view, options_.successor_nodes))
      step_violations_.push_back(std::move(violation));
  }
  if (!now.empty()) slot.been_in = true;
  slot.rules.changed(std::move(now), step_violations_);
}

void ChordWorld::check_step() {
  for (Index index : std::exchange(ended_calls_, {})) {
    auto& slot = *slots_[index];
    if (slot.outstanding > 0) continue;
    slot.rules.idle();
    for (auto carried : std::exchange(slot.held, {})) tracker_.drop(carried);
    dirty_ = true;
  }
  if (!step_violations_.empty()) judge(std::exchange(step_violations_, {}));
  if (!std::exchange(dirty_, false) || !options_.theorem) return;
  if (alone_soon_) {
    const bool over = std::ranges::none_of(slots_, [](const auto& slot) { return slot->leaving && !slot->gone; });
    if (!over || !check_invariant(tracker_.snapshot(), RingMode::small).empty()) return;
    alone_soon_ = false;
  }
  ++checks_;
  if (!shrinking_ && tracker_.principal_nodes() > options_.successor_nodes) mode_ = RingMode::ordinary;
  judge(tracker_.check(mode_));
}

void ChordWorld::judge(const std::vector<Violation>& violations) {
  if (!violations.empty()) violation(text_of(violations));
}

void ChordWorld::violation(std::string text) {
  if (violations_.size() >= kViolationsMax) return;
  violations_.push_back(fmt::format("at {}: {}", time_text(), text));
  world_.note("VIOLATION " + text);
  if (violations_.size() == 1) trace_of_violation_ = ring_text() + world_.trace().text();
}

std::string ChordWorld::time_text() const {
  return fmt::format("{:.6f} s", std::chrono::duration<double>(world_.elapsed()).count());
}

std::string ChordWorld::ring_text() const {
  auto name = [](const Position& p) {
    return fmt::format("{}/{}({})", p.at.port - kPortFirst, p.index, p.id.brief().substr(0, 4));
  };
  std::string text;
  for (const auto& view : tracker_.snapshot().live) {
    text += fmt::format("{} after {}:", name(view.self), name(view.predecessor));
    for (const auto& successor : view.successors) text += " " + name(successor);
    text += "\n";
  }
  return text;
}

// ---- Messages ----

void ChordWorld::called(const SimHost& caller, const Endpoint&, const Request& request) {
  auto& slot = *slots_[index_of(caller)];
  slot.outstanding += may_change_state(static_cast<std::uint32_t>(request.header.kind_case()));
  slot.asking += request.header.has_neighbours();
}

void ChordWorld::call_answered(const SimHost& caller, const Endpoint& to, const Result<Reply>& result) {
  auto outside = [](const wire::Neighbours& wire) { return !wire.busy() && !wire.has_predecessor(); };
  if (!result || result->header.error() != 0 ||
      (result->header.has_neighbours() && outside(result->header.neighbours())))
    slots_[index_of(caller)]->rules.misses(to);
}

void ChordWorld::call_ended(const SimHost& caller, std::uint32_t kind) {
  if (!may_change_state(kind)) return;
  auto& slot = *slots_[index_of(caller)];
  --slot.outstanding;
  slot.asking -= kind == wire::Request::kNeighbours;
  ended_calls_.push_back(index_of(caller));
}

void ChordWorld::request_arrived(const SimHost& at, const Request& request) {
  if (!request.header.has_leave_notice()) return;
  const auto& notice = request.header.leave_notice();
  Position leaver;
  if (!parse(notice.leaver(), leaver)) return;
  std::vector<Position> successors;
  for (const auto& wire : notice.successors())
    if (Position p; parse(wire, p)) successors.push_back(std::move(p));
  const Index index = index_of(at);
  slots_[index]->rules.hears_of_leave(leaver, successors);
  ended_calls_.push_back(index);  // Perhaps all is over at the end of this step.
}

void ChordWorld::reply_sent(ReplyNumber number, const SimHost& from, const SimHost& to, const Reply& reply) {
  Flight flight{.to = index_of(to)};
  if (!reply.header.has_neighbours() || !read_view(reply.header.neighbours(), flight.view)) return;
  flight.busy = reply.header.neighbours().busy();
  if (!flight.busy) {
    auto& slot = *slots_[index_of(from)];
    // With several positions another one may be the one that waits.
    slot.rules.answers(flight.view, options_.positions == 1 && slot.asking > 0, step_violations_);
    flight.carried = next_carried_++;
    if (options_.theorem) tracker_.carry(flight.carried, flight.view);
    dirty_ = true;
  }
  flights_[number] = std::move(flight);
}

void ChordWorld::reply_arrived(ReplyNumber number, const SimHost& at, bool read) {
  auto found = flights_.find(number);
  if (found == flights_.end()) return;
  auto& slot = *slots_[index_of(at)];
  if (read) {
    slot.rules.hears(found->second.view, found->second.busy);
    slot.held.push_back(found->second.carried);
  } else {
    tracker_.drop(found->second.carried);
  }
  flights_.erase(found);
  dirty_ = true;
}

void ChordWorld::reply_lost(ReplyNumber number) {
  auto found = flights_.find(number);
  if (found == flights_.end()) return;
  tracker_.drop(found->second.carried);
  flights_.erase(found);
  dirty_ = true;
}

// ---- The end ----

std::string ChordWorld::unsettled() const {
  std::string wrong;
  for (Index i = 0; i < slots_.size() && wrong.size() < 400; ++i) {
    const auto& slot = *slots_[i];
    if (slot.gone) continue;
    if (slot.leaving)
      wrong += fmt::format("node {} has not left yet\n", i);
    else if (!joined(i))
      wrong += fmt::format("node {} has not joined\n", i);
  }
  if (!wrong.empty()) return wrong;
  for (const auto& one : check_ideal(tracker_.snapshot()))
    if (wrong.size() < 1000) wrong += one.rule + ": " + one.what + "\n";
  return wrong;
}

std::string ChordWorld::settle(Duration limit) {
  const Time until = world_.now() + limit;
  std::string wrong = unsettled();
  for (auto seen = changes_; !wrong.empty() && world_.now() < until;) {
    world_.run_for(kLookEvery);
    if (changes_ == seen && world_.now() < until) continue;
    seen = changes_;
    wrong = unsettled();
  }
  return wrong;
}

std::string ChordWorld::quiet(Duration duration) {
  const auto before = changes_;
  world_.run_for(duration);
  if (changes_ == before) return "";
  return fmt::format("{} changes of state in an ideal ring", changes_ - before);
}

std::string ChordWorld::lookups(std::size_t most) {
  auto ring = tracker_.snapshot().live;
  const Id one = Id().plus_power(0);
  std::vector<std::pair<Id, Id>> keys;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const Id& id = ring[i].self.id;
    for (const Id& key : {id - one, id, id + one}) {
      auto owner = std::ranges::lower_bound(ring, key, {}, [](const View& view) { return view.self.id; });
      keys.emplace_back(key, owner == ring.end() ? ring.front().self.id : owner->self.id);
    }
  }
  const auto members = joined_nodes();
  std::map<Index, std::vector<std::pair<Id, Id>>> work;
  if (members.size() * keys.size() <= most) {
    for (Index member : members) work[member] = keys;
  } else {
    for (std::size_t i = 0; i < most; ++i)
      work[members[sample_.below(members.size())]].push_back(keys[sample_.below(keys.size())]);
  }
  for (auto& [member, list] : work) slots_[member]->program->look_up(std::move(list));
  if (!world_.run_until([this] { return lookups_open_ == 0; }, kLookupsMax)) lookups_wrong_ += "lookups without end\n";
  return lookups_wrong_;
}

}  // namespace chordfs
