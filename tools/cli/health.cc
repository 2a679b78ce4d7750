#include "tools/cli/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <tuple>

#include "proto/rpc/endpoint.h"
#include "tools/cli/nodes.h"
#include "tools/cli/text.h"

namespace chordfs::cli {

namespace json = boost::json;

namespace {
constexpr std::size_t kNamedMax = 256;

int majority_of(std::size_t voters) {
  return static_cast<int>(voters / 2 + 1);
}

/// Voters of one set that `counts` lets count, beyond the majority.
template <class Counts>
int beyond_majority(const std::vector<ArcHealth::Member>& members, bool ArcHealth::Member::* set, Counts counts) {
  std::size_t voters = 0;
  int good = 0;
  for (const auto& member : members) {
    if (member.learner || !(member.*set)) continue;
    ++voters;
    good += counts(member);
  }
  return good - majority_of(voters);
}

template <class Counts>
int beyond_both(const std::vector<ArcHealth::Member>& members, Counts counts) {
  return std::min(beyond_majority(members, &ArcHealth::Member::votes_old, counts),
                  beyond_majority(members, &ArcHealth::Member::votes_new, counts));
}

ArcHealth::Member member_of(const wire::Status::Arc::Member& said) {
  return {.node = hex(said.peer().node()),
          .learner = said.learner(),
          .live = said.live(),
          .complete = said.complete(),
          .votes_old = !said.incoming(),
          .votes_new = !said.outgoing(),
          .bytes_left = said.bytes_left()};
}

std::string_view name_of(NodeHealth::State state) {
  switch (state) {
    case NodeHealth::State::up:
      return "up";
    case NodeHealth::State::suspect:
      return "suspect";
    case NodeHealth::State::down:
      return "down";
  }
  return "?";
}

std::string nodes_text(std::size_t count) {
  return fmt::format("{} node{}", count, count == 1 ? "" : "s");
}

std::string arcs_text(std::size_t count) {
  return fmt::format("{} arc{}", count, count == 1 ? "" : "s");
}

/// Of each arc the row of who leads it, the latest term if there are several. Rows of arcs that cannot be are left out.
std::vector<const wire::Status::Arc*> leaders(const ArcMap& arcs, const std::vector<wire::Status>& statuses) {
  std::vector<const wire::Status::Arc*> rows(arcs.count());
  for (const auto& status : statuses)
    for (const auto& row : status.arcs()) {
      // Only a leader names members; while its node leaves, that is its state.
      if (row.members().empty() || row.arc() >= arcs.count()) continue;
      auto& known = rows[row.arc()];
      if (!known || known->term() < row.term()) known = &row;
    }
  return rows;
}

/// Everybody whom someone counts on: members of arcs that are led, leaders that voters follow.
std::map<std::string, Endpoint> counted_on(const std::vector<wire::Status>& statuses) {
  std::map<std::string, Endpoint> nodes;
  auto add = [&](const wire::Peer& peer) {
    if (!peer.node().empty() && nodes.size() < kNamedMax) nodes.try_emplace(peer.node(), endpoint_of(peer));
  };
  for (const auto& status : statuses)
    for (const auto& row : status.arcs()) {
      if (row.has_leader()) add(row.leader());
      for (const auto& member : row.members()) add(member.peer());
    }
  for (const auto& status : statuses) nodes.erase(status.peer().node());
  return nodes;
}

std::set<std::string> suspected_by_others(const std::vector<wire::Status>& statuses, const Endpoint& self) {
  std::set<std::string> suspected;
  for (const auto& status : statuses)
    if (endpoint_of(status.peer()) != self)
      for (const auto& at : status.suspected())
        if (suspected.size() < kNamedMax) suspected.insert(at);
  return suspected;
}

/// Addresses that are suspected and that no node which answered has.
std::set<std::string> silent(const std::vector<wire::Status>& statuses) {
  auto suspected = suspected_by_others(statuses, {});
  for (const auto& status : statuses) suspected.erase(endpoint_of(status.peer()).text());
  return suspected;
}

void add_nodes(Health& health, const std::vector<wire::Status>& statuses) {
  for (const auto& status : statuses) {
    auto at = endpoint_of(status.peer());
    bool suspect = suspected_by_others(statuses, at).contains(at.text());
    health.nodes.push_back({.state = suspect ? NodeHealth::State::suspect : NodeHealth::State::up,
                            .leaving = status.leaving(),
                            .at = at,
                            .node = hex(status.peer().node()),
                            .zone = status.zone()});
  }
  auto down = counted_on(statuses);
  for (const auto& [node, at] : down)
    health.nodes.push_back({.state = NodeHealth::State::down, .at = at, .node = hex(node), .zone = ""});
  // Nobody says their names while their arcs have no leader.
  for (const auto& text : silent(statuses)) {
    auto at = parse_endpoint(text);
    if (at && std::ranges::find(health.nodes, *at, &NodeHealth::at) == health.nodes.end())
      health.nodes.push_back({.state = NodeHealth::State::down, .at = *at, .node = "", .zone = ""});
  }
  std::ranges::sort(health.nodes, {}, [](const NodeHealth& node) { return std::tie(node.at, node.node); });
}
}  // namespace

int ArcHealth::tolerance() const {
  return led ? beyond_both(members, [](const Member& member) { return member.whole(); }) : -1;
}

int ArcHealth::tolerance_without(const std::string& node) const {
  return led ? beyond_both(members, [&](const Member& member) { return member.whole() && member.node != node; }) : -1;
}

bool ArcHealth::votes(const std::string& node) const {
  return std::ranges::any_of(members, [&](const Member& member) { return member.node == node && !member.learner; });
}

ArcHealth::Copies ArcHealth::copies(std::size_t wanted) const {
  if (!led || beyond_both(members, [](const Member& member) { return member.live; }) < 0) return Copies::no_majority;
  auto there = static_cast<std::size_t>(std::ranges::count_if(members, &Member::whole));
  // A voter that is missing is to be replaced, however many others there are.
  bool all = std::ranges::all_of(members, [](const Member& member) { return member.learner || member.whole(); });
  return all && there >= wanted ? Copies::all : Copies::majority;
}

bool Health::well() const {
  bool all_up = std::ranges::none_of(
      nodes, [](const NodeHealth& node) { return node.state == NodeHealth::State::down && !node.node.empty(); });
  return all_up && count(ArcHealth::Copies::all) == arcs.size();
}

std::size_t Health::count(NodeHealth::State state) const {
  return static_cast<std::size_t>(std::ranges::count(nodes, state, &NodeHealth::state));
}

std::size_t Health::count(ArcHealth::Copies copies) const {
  auto want = wanted();
  return static_cast<std::size_t>(
      std::ranges::count_if(arcs, [&](const ArcHealth& arc) { return arc.copies(want) == copies; }));
}

std::size_t Health::wanted() const {
  auto stay = std::ranges::count_if(nodes, [](const auto& node) { return !node.leaving && !node.node.empty(); });
  return static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(stay, 1, std::max(replicas, 1)));
}

std::size_t Health::learners() const {
  std::size_t sum = 0;
  for (const auto& arc : arcs)
    for (const auto& member : arc.members) sum += member.learner && !member.complete;
  return sum;
}

std::uint64_t Health::bytes_left() const {
  std::uint64_t sum = 0;
  for (const auto& arc : arcs)
    for (const auto& member : arc.members) sum += member.bytes_left;
  return sum;
}

int Health::can_lose() const {
  // Exact: of the nodes lost, all may be voters of the one arc that can spare fewest.
  int least = static_cast<int>(nodes.size());
  for (const auto& arc : arcs) least = std::min(least, arc.tolerance());
  return std::max(least, 0);
}

Health health_of(const Uuid& ring, const ArcMap& arcs, const std::vector<wire::Status>& statuses) {
  Health health{.ring = ring,
                .replicas = 0,
                .relaxed = false,
                .nodes = {},
                .arcs = std::vector<ArcHealth>(arcs.count()),
                .parts = {}};
  add_nodes(health, statuses);
  for (const auto& status : statuses) {
    health.replicas = std::max(health.replicas, static_cast<int>(std::min<std::uint32_t>(status.replicas(), 99)));
    health.relaxed = health.relaxed || status.relaxed();
    auto& parts = health.parts[hex(status.peer().node())];
    for (const auto& row : status.arcs())
      if (row.arc() < arcs.count() && row.state() != "learner") parts.insert(row.arc());
  }
  auto rows = leaders(arcs, statuses);
  for (ArcNumber arc = 0; arc < arcs.count(); ++arc) {
    if (!rows[arc]) continue;
    health.arcs[arc].led = true;
    for (const auto& member : rows[arc]->members()) health.arcs[arc].members.push_back(member_of(member));
  }
  return health;
}

std::vector<Endpoint> not_heard(const std::vector<wire::Status>& statuses) {
  std::set<Endpoint> nodes;
  for (const auto& [node, at] : counted_on(statuses)) nodes.insert(at);
  for (const auto& text : silent(statuses))
    if (auto at = parse_endpoint(text)) nodes.insert(*at);
  return {nodes.begin(), nodes.end()};
}

void Filling::left(std::uint64_t bytes, Time now) {
  looks_.push_back({now, bytes});
  while (looks_.size() > 2 && now - looks_[1].at >= kWindow) looks_.pop_front();
}

std::optional<double> Filling::rate() const {
  if (looks_.size() < 2) return std::nullopt;
  const auto& first = looks_.front();
  const auto& last = looks_.back();
  if (last.at <= first.at || last.left >= first.left) return std::nullopt;
  return static_cast<double>(first.left - last.left) / std::chrono::duration<double>(last.at - first.at).count();
}

std::optional<Duration> Filling::time_left() const {
  auto speed = rate();
  if (!speed) return std::nullopt;
  auto seconds = static_cast<double>(looks_.back().left) / *speed;
  constexpr double kTooLong = 1e8;  // Three years: no longer a forecast, and Duration has an end.
  if (seconds > kTooLong) return std::nullopt;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

namespace {
/// Rings too small for what they were made for, in plain words; empty for others.
std::vector<std::string> of_a_small_ring(const Health& health) {
  auto nodes = health.nodes.size();
  if (nodes == 1) return {"1 node: losing it loses everything"};
  bool one_voter = std::ranges::all_of(health.arcs, [](const ArcHealth& arc) {
    return arc.led && std::ranges::count(arc.members, false, &ArcHealth::Member::learner) == 1;
  });
  if (!one_voter) return {};
  if (health.replicas == 1)
    return {fmt::format("{}, and the ring was made with --replicas 1: losing a node loses what it holds",
                        nodes_text(nodes))};
  if (nodes > 2) return {};
  return {"2 nodes: every arc is led by one voter; a second copy of it on the other node cannot take over by itself",
          "losing either node stops the arcs that it leads until it is back; a third node ends that"};
}
}  // namespace

std::vector<std::string> what_may_be_lost(const Health& health) {
  auto lines = of_a_small_ring(health);
  auto without = health.count(ArcHealth::Copies::no_majority);
  int can_lose = health.can_lose();
  if (can_lose > 0) {
    lines.push_back(fmt::format("you can lose any {} now", nodes_text(static_cast<std::size_t>(can_lose))));
  } else if (without > 0) {
    lines.push_back(
        fmt::format("{} can neither be read nor changed until more of the nodes are back", arcs_text(without)));
  } else if (lines.empty()) {
    auto bare = std::ranges::count_if(health.arcs, [](const ArcHealth& arc) { return arc.tolerance() <= 0; });
    lines.push_back(fmt::format("you can lose no node now: {} would be left without a majority",
                                arcs_text(static_cast<std::size_t>(bare))));
  }
  return lines;
}

std::string text_of(const Health& health, const Filling& filling) {
  using State = NodeHealth::State;
  using Copies = ArcHealth::Copies;
  auto text = fmt::format("ring {}: {} up, {} suspect, {} down\n", health.ring.brief(), health.count(State::up),
                          health.count(State::suspect), health.count(State::down));
  for (const auto& node : health.nodes)
    if (node.state != State::up || node.leaving)
      text += fmt::format("  {:<21} {}{}\n", printable(node.at.text()), name_of(node.state),
                          node.leaving ? ", leaving" : "");
  auto wanted = health.wanted();
  text += fmt::format("{}: {} with all of {} cop{}, {} with a majority, {} without a majority\n",
                      arcs_text(health.arcs.size()), health.count(Copies::all), wanted, wanted == 1 ? "y" : "ies",
                      health.count(Copies::majority), health.count(Copies::no_majority));
  auto learners = health.learners();
  auto left = health.bytes_left();
  if (learners > 0 || left > 0) {
    text += fmt::format("{} cop{} being made, {} to go", learners, learners == 1 ? "y" : "ies", human(left));
    if (auto rate = filling.rate()) text += fmt::format(", {}/s", human(static_cast<std::uint64_t>(*rate)));
    if (auto time = filling.time_left()) text += fmt::format(", {} left", human(*time));
    text += "\n";
  }
  if (health.relaxed) text += "durability relaxed: without fsync, a power loss of all takes up to 100 ms of changes\n";
  for (const auto& line : what_may_be_lost(health)) text += line + "\n";
  return text;
}

json::object to_json(const Health& health, const Filling& filling) {
  using Copies = ArcHealth::Copies;
  json::array nodes, notes;
  for (const auto& node : health.nodes)
    nodes.push_back(json::object{{"node", node.node},
                                 {"endpoint", utf8(node.at.text())},
                                 {"state", name_of(node.state)},
                                 {"leaving", node.leaving},
                                 {"zone", utf8(node.zone)}});
  for (const auto& line : what_may_be_lost(health)) notes.emplace_back(line);
  json::object object{{"ring", health.ring.hex()},
                      {"replicas", health.replicas},
                      {"durability", health.relaxed ? "relaxed" : "full"},
                      {"nodes", std::move(nodes)},
                      {"arcs", health.arcs.size()},
                      {"copies_wanted", health.wanted()},
                      {"arcs_all", health.count(Copies::all)},
                      {"arcs_majority", health.count(Copies::majority)},
                      {"arcs_no_majority", health.count(Copies::no_majority)},
                      {"learners", health.learners()},
                      {"bytes_left", health.bytes_left()},
                      {"bytes_per_second", nullptr},
                      {"seconds_left", nullptr},
                      {"can_lose", health.can_lose()},
                      {"notes", std::move(notes)}};
  if (auto rate = filling.rate()) object["bytes_per_second"] = *rate;
  if (auto time = filling.time_left()) object["seconds_left"] = std::chrono::duration<double>(*time).count();
  return object;
}

StopAdvice advice(const Health& health, const std::string& node) {
  StopAdvice advice;
  auto own = health.parts.find(node);
  std::set<std::string> missing;
  for (ArcNumber arc = 0; arc < health.arcs.size(); ++arc) {
    const auto& row = health.arcs[arc];
    // Of an arc without a leader only this node itself says whether it is a member.
    bool takes_part = row.votes(node) || (!row.led && own != health.parts.end() && own->second.contains(arc));
    if (!takes_part || row.tolerance_without(node) >= 0) continue;
    ++advice.broken;
    for (const auto& member : row.members)
      if (member.node != node && !member.whole()) missing.insert(member.node);
  }
  for (const auto& other : health.nodes)
    if (other.node != node && (missing.contains(other.node) ||
                               (advice.broken > 0 && other.node.empty() && other.state == NodeHealth::State::down)))
      advice.waited_for.push_back(other.at);
  return advice;
}

awaitable<Result<Health>> look_at_health(RingClient& client) {
  CO_TRY(auto statuses, co_await client.walk(false));
  // One that the ring has dropped already may be alive, and an arc still counts on it: asked by name.
  if (auto more = not_heard(statuses); !more.empty()) {
    for (auto& at : more) client.add_peer(std::move(at));
    CO_TRY(statuses, co_await client.walk(false));
  }
  co_return health_of(client.ring(), client.arcs(), statuses);
}

Result<NodeHealth> find_in(const Health& health, const std::string& typed) {
  auto at = parse_endpoint(typed);
  std::vector<const NodeHealth*> found;
  for (const auto& node : health.nodes)
    if (at ? node.at == *at : node.node.starts_with(typed)) found.push_back(&node);
  if (found.size() == 1) return *found.front();
  return Error{Errc::invalid,
               fmt::format("{} nodes of this ring are {}: see chordfs status, chordfs ring", found.size(), typed)};
}

}  // namespace chordfs::cli
