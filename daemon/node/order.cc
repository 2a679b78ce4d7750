#include "daemon/node/order.h"

#include <algorithm>
#include <set>
#include <span>

namespace chordfs {

namespace {

/// Nodes that have stood in no order for so long are forgotten, once there are many.
constexpr Duration kForgetAfter = 60s;
constexpr std::size_t kForgetFrom = 1024;

/// Zones of these that are not in `taken`; each without a label counts for itself.
std::size_t other_zones(std::span<const Candidate* const> candidates, const std::set<std::string>& taken) {
  std::set<std::string> zones;
  std::size_t unlabelled = 0;
  for (const Candidate* candidate : candidates) {
    if (candidate->zone.empty())
      ++unlabelled;
    else if (!taken.contains(candidate->zone))
      zones.insert(candidate->zone);
  }
  return zones.size() + unlabelled;
}

/// The first position of each node, in order.
std::vector<Position> distinct(const std::vector<Position>& positions) {
  std::vector<Position> nodes;
  std::set<Uuid> met;
  for (const Position& p : positions)
    if (met.insert(p.node).second) nodes.push_back(p);
  return nodes;
}

void link(Links& links, const Id& from, const Position& to) {
  auto [known, fresh] = links.try_emplace(from, to);
  // Someone in between is known to one list and not yet to another.
  if (!fresh && between(from, to.id, known->second.id)) known->second = to;
}

}  // namespace

std::vector<wire::Peer> choose(const std::vector<Candidate>& candidates, int replicas) {
  std::vector<const Candidate*> staying;
  for (const Candidate& candidate : candidates)
    if (!candidate.leaving) staying.push_back(&candidate);
  std::vector<wire::Peer> chosen;
  std::set<std::string> taken;
  std::span<const Candidate* const> rest = staying;
  while (!rest.empty() && std::ssize(chosen) < replicas) {
    const Candidate& candidate = *rest.front();
    rest = rest.subspan(1);
    auto places = static_cast<std::size_t>(replicas) - chosen.size();
    // A second one of its zone: only where those behind it cannot fill every place with a zone of its own.
    if (taken.contains(candidate.zone) && other_zones(rest, taken) >= places) continue;
    if (!candidate.zone.empty()) taken.insert(candidate.zone);
    chosen.push_back(candidate.peer);
  }
  return chosen;
}

Links links_of(const std::vector<View>& views) {
  Links links;
  for (const View& view : views) {
    link(links, view.predecessor.id, view.self);
    Id last = view.self.id;
    for (const Position& p : view.successors) {
      link(links, last, p);
      last = p.id;
    }
  }
  return links;
}

Run follow(const Links& links, const Id& key, std::size_t nodes) {
  Run run;
  // The link that leads over `key`: from the last identifier before it.
  if (links.empty()) return run;
  auto next = links.lower_bound(key);
  next = std::prev(next == links.begin() ? links.end() : next);
  if (!owned(next->first, key, next->second.id)) return run;
  std::set<Uuid> met;
  const Id first = next->second.id;
  do {
    run.positions.push_back(next->second);
    met.insert(next->second.node);
    next = links.find(next->second.id);
    run.enough = met.size() >= nodes || (next != links.end() && next->second.id == first);
    // Links lead clockwise, so this ends; but for some that are out of order while the ring is.
  } while (!run.enough && next != links.end() && between(run.positions.back().id, next->second.id, first));
  return run;
}

Order::Order(Runtime& runtime, Transport& transport, Ring& ring)
    : runtime_(runtime), transport_(transport), ring_(ring), tasks_(runtime) {}

awaitable<Result<std::vector<Candidate>>> Order::of(ArcNumber arc) {
  CO_TRY(auto nodes, co_await nodes_of(arc));
  co_await learn(nodes);
  std::vector<Candidate> candidates;
  for (const Position& node : nodes) {
    auto& candidate = candidates.emplace_back();
    candidate.peer = to_peer(node.node, node.at);
    if (ring_.is_self(node.node)) {
      candidate.zone = ring_.zone();
      candidate.leaving = ring_.leaving();
    } else if (auto known = about_.find(node.node); known != about_.end()) {
      candidate.zone = known->second.zone;
      candidate.leaving = known->second.leaving;
    }
  }
  co_return candidates;
}

void Order::changed() {
  ++changes_;
  links_.reset();
  kept_.clear();
}

void Order::heard(const wire::Peer& peer, bool leaving) {
  Uuid node;
  if (Uuid::parse(peer.node(), node) && !node.empty()) about(node).leaving = leaving;
}

awaitable<void> Order::stop() {
  tasks_.stop();
  co_await tasks_.join();
}

awaitable<Result<std::vector<Position>>> Order::nodes_of(ArcNumber arc) {
  const Id key = ArcMap(ring_.arc_bits()).point(arc);
  if (!links_) links_ = links_of(ring_.members());
  Run run = follow(*links_, key, wanted());
  if (run.enough) co_return distinct(run.positions);
  if (auto kept = kept_.find(arc); kept != kept_.end() && runtime_.now() < kept->second.until)
    co_return kept->second.nodes;

  const auto before = changes_;
  CO_TRY(run, co_await look_further(key, std::move(run)));
  auto nodes = distinct(run.positions);
  if (before == changes_) {
    if (kept_.size() >= kOrdersMax) kept_.clear();
    kept_[arc] = {nodes, runtime_.now() + kOrderKeptFor};
  }
  co_return nodes;
}

/// Only where zones are named is it worth to look far.
std::size_t Order::wanted() const {
  auto matters = static_cast<std::size_t>(std::max(ring_.replicas(), 3)) + kOrderSpare;
  bool zones = !ring_.zone().empty();
  for (const auto& [node, about] : about_) {
    zones |= !about.zone.empty();
    matters += about.leaving;
  }
  return zones ? kOrderNodes : std::min(matters, kOrderNodes);
}

/// Lookups of the identifier after the last one known, each of which brings its owner's list.
awaitable<Result<Run>> Order::look_further(Id key, Run run) {
  for (int lookups = 0; !run.enough && lookups < kOrderLookupsMax; ++lookups) {
    auto& list = run.positions;
    CO_TRY(Found found, co_await ring_.find_successor(list.empty() ? key : list.back().id.plus_power(0)));
    const auto length = list.size();
    for (const Position& p : found.positions) {
      // Past the first one again: all the way round.
      if (!list.empty() && !between(list.back().id, p.id, list.front().id)) break;
      list.push_back(p);
    }
    run.enough = list.size() == length || distinct(list).size() >= wanted();
  }
  co_return run;
}

awaitable<void> Order::learn(std::vector<Position> nodes) {
  bool wait = false;
  for (const Position& node : nodes) {
    if (ring_.is_self(node.node)) continue;
    const auto& known = about(node.node);
    bool fresh = known.asked_ever && runtime_.now() - known.asked < kZoneKeptFor;
    bool news = !known.asked_ever;
    if (!fresh && ask(node) && news) wait = true;
  }
  auto unheard = [&] {
    return std::ranges::any_of(nodes, [&](const Position& node) {
      auto known = about_.find(node.node);
      return known != about_.end() && known->second.asking && !known->second.asked_ever;
    });
  };
  for (const Time until = runtime_.now() + kPingTimeout; wait && unheard() && runtime_.now() < until;)
    co_await answered_.wait_for(runtime_, until - runtime_.now());
}

/// Whether it is being asked.
bool Order::ask(const Position& node) {
  auto& known = about(node.node);
  if (known.asking) return true;
  if (tasks_.stopping() || tasks_.size() >= kPingsMax) return false;
  known.asking = true;
  tasks_.spawn("ask for the zone", ping(node));
  return true;
}

awaitable<void> Order::ping(Position node) {
  Request request;
  request.header.set_ring(ring_.uuid().bytes());
  request.header.mutable_ping();
  auto reply = answered(co_await transport_.call(node.at, std::move(request), kPingTimeout));
  auto& known = about(node.node);
  known.asking = false;
  known.asked_ever = true;
  known.asked = runtime_.now();
  // Without an answer, or if another node stands at its address by now, what was known of it remains.
  if (reply && reply->header.ping().peer().node() == node.node.bytes()) {
    const auto& ping = reply->header.ping();
    known.zone = ping.zone().size() <= kZoneBytesMax ? ping.zone() : "";
    known.leaving = ping.leaving();
  }
  answered_.notify_all();
}

Order::About& Order::about(const Uuid& node) {
  if (about_.size() >= kForgetFrom && !about_.contains(node))
    std::erase_if(about_, [this](const auto& entry) {
      return !entry.second.asking && runtime_.now() - entry.second.asked > kForgetAfter;
    });
  return about_[node];
}

}  // namespace chordfs
