#include "tests/daemon/ring/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "proto/base/check.h"

namespace chordfs::test {

Runtime::TimerId World::schedule(Time when, std::move_only_function<void()> callback) {
  TimerId timer = next_timer_++;
  when_[timer] = std::max(when, now_);
  timers_[{when_[timer], timer}] = std::move(callback);
  return timer;
}

void World::cancel(TimerId timer) {
  auto found = when_.find(timer);
  if (found == when_.end()) return;
  timers_.erase({found->second, timer});
  when_.erase(found);
}

bool World::step() {
  context_.restart();
  if (context_.poll() != 0) return true;
  if (timers_.empty()) return false;
  auto first = timers_.begin();
  auto [when, timer] = first->first;
  auto callback = std::move(first->second);
  timers_.erase(first);
  when_.erase(timer);
  now_ = when;
  callback();
  context_.restart();
  context_.poll();
  return true;
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  Time end = now_ + limit;
  while (!done()) {
    if (!timers_.empty() && timers_.begin()->first.first > end) {
      context_.restart();
      if (context_.poll() == 0) {
        now_ = end;
        return done();
      }
      continue;
    }
    if (!step()) return done();
    if (after_step) after_step();
  }
  return true;
}

void World::run_for(Duration duration) {
  Time end = now_ + duration;
  run_until([&] { return now_ >= end; }, duration);
}

Link Network::state(const Endpoint& from, const Endpoint& to) const {
  Link wanted = link ? link(from, to) : Link::up;
  if (wanted == Link::up && !handlers_.contains(to)) return Link::refused;
  return wanted;
}

awaitable<Result<Reply>> Network::call(Endpoint from, Endpoint to, Request request, Duration timeout) {
  std::uint64_t id = ++calls_;
  OneShot<Result<Reply>> answer;
  calls_open_[id] = {from, answer, std::nullopt};
  struct Close {
    Network& network;
    std::uint64_t call;
    ~Close() { network.calls_open_.erase(call); }
  } close{*this, id};
  if (state(from, to) == Link::refused) {
    co_await world_.sleep(delay());
    co_return Error{Errc::unreachable, "call " + to.text()};
  }
  if (state(from, to) == Link::up && !lost()) tasks_.spawn("deliver", deliver(id, to, std::move(request)));
  auto reply = co_await answer.wait_for(world_, timeout);
  if (!reply) co_return Error{Errc::timed_out, "call " + to.text()};
  co_return *std::move(reply);
}

awaitable<void> Network::deliver(std::uint64_t id, Endpoint to, Request request) {
  co_await world_.sleep(delay());
  auto handler = handlers_.find(to);
  if (handler == handlers_.end()) co_return;
  // By value: the node may be gone before its handler ends.
  Reply reply = co_await handler->second(std::move(request));
  if (lost()) co_return;
  if (auto call = calls_open_.find(id); call != calls_open_.end()) call->second.reply = std::move(reply);
  co_await world_.sleep(delay());
  auto call = calls_open_.find(id);
  if (call == calls_open_.end() || !call->second.reply || state(to, call->second.from) != Link::up) co_return;
  Result<Reply> result = std::move(*call->second.reply);
  call->second.reply.reset();
  call->second.answer.set(std::move(result));
}

std::vector<View> Network::in_flight() const {
  std::vector<View> views;
  for (const auto& [id, call] : calls_open_) {
    if (!call.reply || !call.reply->header.has_neighbours() || !handlers_.contains(call.from)) continue;
    const auto& neighbours = call.reply->header.neighbours();
    View view;
    if (neighbours.busy() || !parse(neighbours.self(), view.self) || !parse(neighbours.predecessor(), view.predecessor))
      continue;
    // What a dead node sent is lost here.
    if (!handlers_.contains(view.self.at)) continue;
    for (const auto& wire : neighbours.successors())
      if (Position p; parse(wire, p)) view.successors.push_back(std::move(p));
    views.push_back(std::move(view));
  }
  return views;
}

awaitable<void> Network::stop() {
  tasks_.stop();
  co_await tasks_.join();
}

Node::Node(World& world, Network& network, RingConfig config) : network_(network), tasks_(world) {
  Uuid node;
  CHECK(parse(config.self, node, at_));
  ring_ = std::make_unique<Ring>(world, *this, std::move(config));
}

awaitable<Result<Reply>> Node::call(Endpoint to, Request request, Duration timeout) {
  if (!up_) co_return Error{Errc::cancelled, "this node is down"};
  co_return co_await network_.call(at_, std::move(to), std::move(request), timeout);
}

awaitable<void> Node::stop() {
  tasks_.stop();
  co_await tasks_.join();
  co_await ring_->stop();
}

void Node::serve(Handler handler) {
  network_.attach(at_, std::move(handler));
}

namespace {

// The part of a node's dispatcher that the ring relies on.
awaitable<Reply> dispatch(Ring& ring, Request request) {
  const std::string& sender = request.header.ring();
  if (!sender.empty() && !ring.uuid().empty() && sender != ring.uuid().bytes())
    co_return error_reply({Errc::wrong_ring, "another ring"});
  co_return co_await ring.handle(std::move(request.header));
}

}  // namespace

Cluster::Cluster(std::uint64_t seed, int positions, int successor_nodes)
    : world(seed),
      network(world),
      positions_(positions),
      successor_nodes_(successor_nodes),
      ring_(0x72696e67, seed + 1) {
  world.after_step = [this] { check(); };
}

Cluster::~Cluster() {
  checked.reset();
  while (!nodes_.empty()) crash(nodes_.begin()->first);
  world.run([](Network* net) -> awaitable<Nothing> {
    co_await net->stop();
    co_return Nothing{};
  }(&network));
}

Node& Cluster::start(int n, std::vector<wire::Peer> peers) {
  CHECK(!has(n), "node {} runs already", n);
  RingConfig config;
  config.self = to_peer(uuid(n), at(n));
  config.positions = positions_;
  config.successor_nodes = successor_nodes_;
  config.peers = std::move(peers);
  if (remembered_.contains(n)) config.ring = ring_;
  config.on_change = [this] { ++changes_; };
  if (configure) configure(config);
  auto& node = nodes_[n] = std::make_unique<Node>(world, network, std::move(config));
  node->serve([ring = &node->ring()](Request request) { return dispatch(*ring, std::move(request)); });
  return *node;
}

void Cluster::create(int n) {
  remembered_[n];  // The ring's identity is known: ours.
  Node& node = start(n, {});
  node.ring().create();
  node.ring().start();
}

void Cluster::grow(int n) {
  create(0);
  for (int i = 1; i < n; ++i) {
    auto joined = join(i, i - 1);
    CHECK(joined.has_value(), "{}", joined.error().text());
  }
  auto reason = settle();
  CHECK(reason.empty(), "{}", reason);
}

Result<void> Cluster::join_stranger(Uuid identity, Endpoint via, Uuid ring) {
  RingConfig config;
  config.self = to_peer(identity, at(90));
  config.ring = ring;
  auto stranger = std::make_unique<Node>(world, network, std::move(config));
  stranger->serve([own = &stranger->ring()](Request request) { return dispatch(*own, std::move(request)); });
  auto joined = world.run(stranger->ring().join({std::move(via)}));
  stop(std::move(stranger));
  return joined;
}

Result<void> Cluster::join(int n, int via) {
  return world.run(start(n, {}).ring().join({at(via)}));
}

void Cluster::join_soon(int n, int via) {
  Node& node = start(n, {});
  node.spawn("join", join_task(node.ring(), n, via));
}

awaitable<void> Cluster::join_task(Ring& ring, int n, int via) {
  auto joined = co_await ring.join({at(via)});
  if (!joined) join_errors_[n] = joined.error().text();
}

void Cluster::resume_soon(int n) {
  auto peers = remembered_[n];
  Node& node = start(n, std::move(peers));
  node.spawn("resume", resume_task(node.ring(), n));
}

awaitable<void> Cluster::resume_task(Ring& ring, int n) {
  auto resumed = co_await ring.resume({});
  if (!resumed) join_errors_[n] = resumed.error().text();
}

void Cluster::stop(std::unique_ptr<Node> node) {
  node->down();
  network.detach(node->at());
  auto checking = std::exchange(world.after_step, nullptr);
  world.run([](Node* stopped) -> awaitable<Nothing> {
    co_await stopped->stop();
    co_return Nothing{};
  }(node.get()));
  ++changes_;
  world.after_step = std::move(checking);
}

void Cluster::crash(int n) {
  remembered_[n] = node(n).ring().known_peers();
  auto node = std::move(nodes_.at(n));
  nodes_.erase(n);
  stop(std::move(node));
}

void Cluster::leave(int n) {
  auto left = world.run(node(n).ring().leave());
  CHECK(left.has_value(), "{}", left.error().text());
  crash(n);
}

bool Cluster::ordinary() const {
  return nodes_of(principals(snapshot())) > successor_nodes_;
}

bool Cluster::may_fail(int n) const {
  auto after = snapshot();
  std::erase_if(after.live, [&](const View& view) { return view.self.node == uuid(n); });
  std::erase_if(after.in_flight, [&](const View& view) { return view.self.node == uuid(n); });
  std::set<Id> live;
  for (const View& view : after.live) live.insert(view.self.id);
  for (const View& view : after.live)
    if (std::ranges::none_of(view.successors,
                             [&](const Position& p) { return p.node != view.self.node && live.contains(p.id); }))
      return false;
  for (const View& view : after.in_flight)
    if (std::ranges::none_of(as_adopted(view, successor_nodes_),
                             [&](const Position& p) { return live.contains(p.id); }))
      return false;
  return nodes_of(principals(after)) > successor_nodes_;
}

std::vector<int> Cluster::numbers() const {
  std::vector<int> numbers;
  for (const auto& [n, node] : nodes_) numbers.push_back(n);
  return numbers;
}

bool Cluster::all_joined() const {
  return std::ranges::all_of(nodes_, [](const auto& node) { return node.second->ring().joined(); });
}

RingSnapshot Cluster::snapshot() const {
  RingSnapshot snapshot{.successor_nodes = successor_nodes_, .live = {}, .in_flight = network.in_flight()};
  for (const auto& [n, node] : nodes_)
    for (auto& view : node->ring().members()) snapshot.live.push_back(std::move(view));
  return snapshot;
}

void Cluster::check() {
  if (!checked || !violation.empty() || changes_ == checked_changes_) return;
  checked_changes_ = changes_;
  ++checks;
  auto now = snapshot();
  auto broken = check_invariant(now, *checked);
  std::set<Id> live, principals;
  for (const View& view : now.live) live.insert(view.self.id);
  for (const Position& p : chordfs::principals(now)) principals.insert(p.id);
  // C17: principals are lost only by failing.
  if (*checked == RingMode::ordinary)
    for (const Id& id : principals_)
      if (live.contains(id) && !principals.contains(id))
        broken.push_back({"C17", id.brief() + " is principal no more"});
  principals_ = std::move(principals);
  if (!broken.empty())
    violation = fmt::format(
        "at {} ms: {}", std::chrono::duration_cast<std::chrono::milliseconds>(world.now().time_since_epoch()).count(),
        text_of(broken));
}

std::string Cluster::settle(Duration limit) {
  std::uint64_t seen = changes_ - 1;
  auto ideal = [&] {
    if (seen == changes_ || !all_joined()) return false;
    seen = changes_;
    return check_ideal(snapshot()).empty();
  };
  if (world.run_until(ideal, limit)) return "";
  std::string text = text_of(check_ideal(snapshot()));
  for (const auto& [n, error] : join_errors_) text += fmt::format("join of {}: {}\n", n, error);
  if (!all_joined()) text += "not all have joined\n";
  return text;
}

std::string Cluster::lookups_agree() {
  auto ring = snapshot().live;
  std::ranges::sort(ring, {}, [](const View& view) { return view.self.id; });
  for (std::size_t i = 0; i < ring.size(); ++i) {
    Id id = ring[i].self.id;
    Id next = ring[(i + 1) % ring.size()].self.id;
    for (auto& [n, node] : nodes_) {
      for (auto [key, owner] : {std::pair(id, id), std::pair(id.plus_power(0), next)}) {
        auto found = world.run(node->ring().find_successor(key));
        if (!found) return fmt::format("node {}: {}", n, found.error().text());
        if (found->owner().id != owner)
          return fmt::format("node {} finds {} for {}", n, found->owner().id.brief(), key.brief());
      }
    }
  }
  return "";
}

}  // namespace chordfs::test
