#include "tools/sim/experiments/ring_bed.h"

#include <algorithm>

#include "daemon/ring/invariant.h"
#include "proto/base/check.h"
#include "tools/sim/experiments/static_ring.h"

namespace chordfs {

namespace {
constexpr Duration kJoinAgainAfter = 500ms;
constexpr Duration kWaveMax = 10min;
constexpr Duration kLookEvery = 1s;
}  // namespace

/// One process with nothing but a Ring in it.
class RingBed::RingProgram final : public Program {
 public:
  RingProgram(RingBed& bed, Index index, Runtime& runtime, Transport& transport)
      : bed_(bed),
        index_(index),
        runtime_(runtime),
        transport_(transport),
        ring_(runtime, transport, config(bed, index)),
        tasks_(runtime) {
    bed.slots_[index]->program = this;
  }

  awaitable<void> run() override {
    transport_.serve([this](Request request) { return ring_.handle(std::move(request.header)); });
    const auto via = slot().via;
    if (!via) {
      ring_.create();
      ring_.start();
    } else {
      for (auto door = *via; !co_await ring_.join({bed_.at(door)}); door = bed_.another_door(door))
        co_await runtime_.sleep(runtime_.jitter(kJoinAgainAfter));
    }
    while (!slot().leaving) co_await leave_.wait();
    while (!co_await ring_.leave()) co_await runtime_.sleep(kJoinAgainAfter);
    // Not from within its own coroutine.
    bed_.world_.after({}, [&bed = bed_, index = index_] {
      if (bed.alive(index)) bed.slots_[index]->host->crash();
    });
  }
  awaitable<void> stop() override {
    tasks_.stop();
    co_await tasks_.join();
    co_await ring_.stop();
  }

  Ring& ring() { return ring_; }
  const Ring& ring() const { return ring_; }
  void leave() { leave_.notify_all(); }
  void look_up(const Id& key, Done done) { tasks_.spawn("lookup", look_up_one(key, std::move(done))); }

 private:
  static RingConfig config(RingBed& bed, Index index) {
    RingConfig config{.self = to_peer(StaticRing::identity(bed.options_.seed, index), bed.at(index)),
                      .positions = bed.options_.positions,
                      .successor_nodes = bed.options_.successor_nodes};
    if (!bed.slots_[index]->via) config.ring = bed.ring_id_;
    config.on_change = [&bed, index] { bed.changed(index); };
    if (bed.options_.configure) bed.options_.configure(config);
    return config;
  }
  Slot& slot() { return *bed_.slots_[index_]; }

  awaitable<void> look_up_one(Id key, Done done) {
    struct Open {
      explicit Open(std::size_t& count) : open(count) { ++open; }
      ~Open() { --open; }
      std::size_t& open;
    } open(bed_.lookups_open_);
    const Time began = bed_.world_.now();
    auto found = co_await ring_.find_successor(key);
    // Nobody sees what a dead process still does.
    if (bed_.slots_[index_]->program == this) done({index_, key, std::move(found), began, bed_.world_.now()});
  }

  RingBed& bed_;
  const Index index_;
  Runtime& runtime_;
  Transport& transport_;
  Signal leave_;
  Ring ring_;
  TaskGroup tasks_;
};

RingBed::RingBed(RingBedOptions options)
    : options_(std::move(options)),
      ring_id_(0x72696e67, options_.seed + 1),
      doors_(Rng::derived(options_.seed, "doors")),
      world_({.seed = options_.seed, .trace_lines = 1}) {}

RingBed::Index RingBed::add(std::optional<Index> via) {
  const Index index = slots_.size();
  auto& slot = *slots_.emplace_back(std::make_unique<Slot>());
  slot.via = via;
  slot.host = &world_.add_host(
      {.endpoint = StaticRing::endpoint(index), .program = [this, index](Runtime& runtime, Transport& transport) {
         return std::make_unique<RingProgram>(*this, index, runtime, transport);
       }});
  by_address_.emplace(slot.host->endpoint(), index);
  slot.host->on_death([this, index](SimHost::Death) {
    slots_[index]->program = nullptr;
    set_members(index, {});
  });
  slot.host->start();
  return index;
}

void RingBed::grow(std::size_t nodes) {
  CHECK(slots_.empty() && nodes > 0);
  std::vector<std::pair<Id, Index>> circle;
  for (Index i = 0; i < nodes; ++i) circle.emplace_back(position_id(StaticRing::identity(options_.seed, i), 0), i);
  std::ranges::sort(circle);
  std::vector<std::size_t> rank(nodes);
  for (std::size_t i = 0; i < nodes; ++i) rank[circle[i].second] = i;
  // Node i is the i-th slot, so they come in that order, each through the closest before it that is there already.
  std::set<std::size_t> there;
  auto before = [&](std::size_t of) {
    auto at = there.lower_bound(of);
    return circle[at == there.begin() ? *there.rbegin() : *std::prev(at)].second;
  };
  add(std::nullopt);
  there.insert(rank[0]);
  for (Index next = 1; next < nodes;) {
    const Index wave = std::min(2 * next, nodes);
    std::vector<std::size_t> joining;
    for (; next < wave; ++next) {
      add(before(rank[next]));
      joining.push_back(rank[next]);
    }
    there.insert(joining.begin(), joining.end());
    const auto in = [&] { return joined_nodes().size() == wave; };
    for (Duration waited{}; !in(); waited += kLookEvery) {
      CHECK(waited < kWaveMax, "{} of {} have joined", joined_nodes().size(), wave);
      world_.run_for(kLookEvery);
    }
  }
}

void RingBed::settle(Duration limit) {
  auto wrong = [this] {
    return check_ideal({.successor_nodes = options_.successor_nodes, .live = views(), .in_flight = {}});
  };
  for (Duration waited{}; !wrong().empty(); waited += kLookEvery) {
    CHECK(waited < limit, "{}", text_of(wrong()));
    world_.run_for(kLookEvery);
  }
}

void RingBed::leave(Index index) {
  slots_[index]->leaving = true;
  if (alive(index)) slots_[index]->program->leave();
}

void RingBed::crash(Index index, SimHost::Death death) {
  if (death == SimHost::Death::process)
    slots_[index]->host->crash();
  else
    slots_[index]->host->power_off();
}

bool RingBed::joined(Index index) const {
  return alive(index) && slots_[index]->program->ring().joined();
}

Ring& RingBed::ring(Index index) {
  return slots_[index]->program->ring();
}

std::vector<RingBed::Index> RingBed::joined_nodes() const {
  std::vector<Index> nodes;
  for (Index i = 0; i < slots_.size(); ++i)
    if (!slots_[i]->leaving && joined(i)) nodes.push_back(i);
  return nodes;
}

/// Whoever let in the last one may have gone.
RingBed::Index RingBed::another_door(Index last) {
  const auto open = joined_nodes();
  return open.empty() ? last : open[doors_.below(open.size())];
}

std::vector<View> RingBed::views() const {
  std::vector<View> views;
  for (const auto& slot : slots_)
    if (slot->program != nullptr)
      for (auto& view : slot->program->ring().members()) views.push_back(std::move(view));
  return views;
}

void RingBed::changed(Index index) {
  if (!alive(index)) return;
  std::vector<Id> members;
  for (const auto& view : slots_[index]->program->ring().members()) {
    members.push_back(view.self.id);
    if (!view.successors.empty() && members_.contains(view.successors.front().id))
      known_since_.try_emplace(view.successors.front().id, world_.now());
  }
  if (members != slots_[index]->members) set_members(index, std::move(members));
}

void RingBed::set_members(Index index, std::vector<Id> members) {
  const auto before = std::exchange(slots_[index]->members, std::move(members));
  for (const Id& id : before) members_.erase(id);
  for (const Id& id : slots_[index]->members) {
    members_.emplace(id, index);
    since_.try_emplace(id, world_.now());
  }
  for (const Id& id : before)
    if (!members_.contains(id)) {
      since_.erase(id);
      known_since_.erase(id);
    }
}

Id RingBed::owner(const Id& key) const {
  CHECK(!members_.empty());
  auto at = members_.lower_bound(key);
  return at == members_.end() ? members_.begin()->first : at->first;
}

bool RingBed::known(const Id& member) const {
  auto at = members_.find(member);
  if (at == members_.end()) return false;
  auto before = at == members_.begin() ? std::prev(members_.end()) : std::prev(at);
  for (const auto& view : slots_[before->second]->program->ring().members())
    if (view.self.id == before->first)
      return view.successors.empty() ? members_.size() == 1 : view.successors.front().id == member;
  return false;
}

std::optional<Time> RingBed::known_since(const Id& member) const {
  auto found = known_since_.find(member);
  return found == known_since_.end() ? std::nullopt : std::optional(found->second);
}

void RingBed::look_up(Index from, const Id& key, Done done) {
  slots_[from]->program->look_up(key, std::move(done));
}

}  // namespace chordfs
