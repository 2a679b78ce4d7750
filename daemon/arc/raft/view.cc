#include "daemon/arc/raft/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <set>

#include "proto/base/bytes.h"
#include "proto/rpc/endpoint.h"

namespace chordfs {

const Replica* find_replica(const Replicas& replicas, const Uuid& node) {
  auto found = std::ranges::find(replicas, node, &Replica::node);
  return found == replicas.end() ? nullptr : &*found;
}

const Replica* ArcView::find(const Uuid& node) const {
  for (const auto* set : {&voters, &old_voters, &learners})
    if (const auto* found = find_replica(*set, node)) return found;
  return nullptr;
}

bool ArcView::has(const Replica& replica) const {
  return votes(replica) || std::ranges::count(learners, replica) > 0;
}

bool ArcView::votes(const Replica& replica) const {
  return std::ranges::count(voters, replica) > 0 || std::ranges::count(old_voters, replica) > 0;
}

Replicas ArcView::all_voters() const {
  auto all = voters;
  for (const auto& old : old_voters)
    if (std::ranges::count(all, old) == 0) all.push_back(old);
  return all;
}

Replicas ArcView::everybody() const {
  auto all = all_voters();
  all.insert(all.end(), learners.begin(), learners.end());
  return all;
}

std::string ArcView::text() const {
  auto list = [](const Replicas& replicas) {
    std::string text;
    for (const auto& one : replicas)
      text +=
          fmt::format("{}{}@{}.{}", text.empty() ? "" : " ", one.at.port, one.generation.term, one.generation.index);
    return text;
  };
  auto text = "[" + list(voters) + "]";
  if (joint()) text += " from [" + list(old_voters) + "]";
  if (!learners.empty()) text += " learning [" + list(learners) + "]";
  return text;
}

namespace {
bool majority_of(const Replicas& set, const std::function<bool(const Replica&)>& yes) {
  return static_cast<std::size_t>(std::ranges::count_if(set, yes)) > set.size() / 2;
}

std::uint64_t reached_in(const Replicas& set, const std::function<std::uint64_t(const Replica&)>& value) {
  boost::container::small_vector<std::uint64_t, 8> values;
  for (const auto& one : set) values.push_back(value(one));
  std::ranges::sort(values, std::greater());
  return values.empty() ? 0 : values[values.size() / 2];
}
}  // namespace

bool majority(const ArcView& view, const std::function<bool(const Replica&)>& yes) {
  return majority_of(view.voters, yes) && (!view.joint() || majority_of(view.old_voters, yes));
}

bool elects(const ArcView& view, const std::function<bool(const Replica&)>& voted,
            const std::function<bool(const Replica&)>& doubtful) {
  auto elect = [&](const Replicas& set) {
    if (!majority_of(set, voted)) return false;
    auto sure = [&](const Replica& voter) { return voted(voter) && !doubtful(voter); };
    auto heard = [&](const Replica& voter) { return voted(voter) || doubtful(voter); };
    return majority_of(set, sure) || majority_of(set, doubtful) || std::ranges::all_of(set, heard);
  };
  return elect(view.voters) && (!view.joint() || elect(view.old_voters));
}

std::uint64_t reached_by_majority(const ArcView& view, const std::function<std::uint64_t(const Replica&)>& value) {
  auto reached = reached_in(view.voters, value);
  return view.joint() ? std::min(reached, reached_in(view.old_voters, value)) : reached;
}

wire::Peer peer_of(const Replica& replica, const Endpoint& at) {
  wire::Peer peer;
  peer.set_node(replica.node.bytes());
  peer.set_host(at.host);
  peer.set_port(at.port);
  return peer;
}

Result<void> meant_for(const Replica& self, const wire::Replica& to) {
  if (to.peer().node() == self.node.bytes() && Generation{to.term(), to.index()} == self.generation) return {};
  return Error{Errc::stale, fmt::format("meant for {}, and {} is here", hex(to.peer().node()), hex(self.node.bytes()))};
}

wire::Replica to_wire(const Replica& replica) {
  wire::Replica to;
  *to.mutable_peer() = peer_of(replica, replica.at);
  to.set_term(replica.generation.term);
  to.set_index(replica.generation.index);
  return to;
}

wire::View to_wire(const ArcView& view) {
  wire::View to;
  for (const auto& one : view.voters) *to.add_voters() = to_wire(one);
  for (const auto& one : view.old_voters) *to.add_old_voters() = to_wire(one);
  for (const auto& one : view.learners) *to.add_learners() = to_wire(one);
  return to;
}

std::optional<ArcView> view_from(const wire::View& from) {
  if (from.voters_size() + from.old_voters_size() + from.learners_size() > kMembersMax) return std::nullopt;
  if (from.voters_size() % 2 == 0) return std::nullopt;
  if (from.old_voters_size() > 0 && from.old_voters_size() % 2 == 0) return std::nullopt;
  auto read = [](const auto& list, Replicas& to) {
    std::set<Uuid> seen;
    for (const auto& one : list) {
      Replica replica{.generation = {one.term(), one.index()}};
      if (!Uuid::parse(one.peer().node(), replica.node) || !seen.insert(replica.node).second) return false;
      if (one.peer().port() == 0 || one.peer().port() > 65535) return false;
      replica.at = endpoint_of(one.peer());
      to.push_back(std::move(replica));
    }
    return true;
  };
  ArcView view;
  if (!read(from.voters(), view.voters) || !read(from.old_voters(), view.old_voters) ||
      !read(from.learners(), view.learners))
    return std::nullopt;
  for (const auto& learner : view.learners)
    if (find_replica(view.voters, learner.node) || find_replica(view.old_voters, learner.node)) return std::nullopt;
  for (const auto& old : view.old_voters)
    if (const auto* same = find_replica(view.voters, old.node); same && !(*same == old)) return std::nullopt;
  return view;
}

std::optional<ArcView> view_from(const std::string& bytes) {
  wire::View view;
  return view.ParseFromString(bytes) ? view_from(view) : std::nullopt;
}

}  // namespace chordfs
