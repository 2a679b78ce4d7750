#include "proto/client/lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "proto/wire/limits.h"

namespace chordfs {

bool parse(const wire::Peer& from, Uuid& node, Endpoint& at) {
  constexpr std::uint32_t kPortMax = std::numeric_limits<std::uint16_t>::max();
  if (!Uuid::parse(from.node(), node) || node.empty()) return false;
  if (from.host().empty() || from.host().size() > kNameBytesMax) return false;
  if (from.port() == 0 || from.port() > kPortMax) return false;
  at = {from.host(), static_cast<std::uint16_t>(from.port())};
  return true;
}

bool parse(const wire::Position& from, Position& to) {
  if (from.index() >= kPositionsMax || !parse(from.peer(), to.node, to.at)) return false;
  to.index = from.index();
  to.id = position_id(to.node, to.index);
  return true;
}

wire::Peer to_peer(const Uuid& node, const Endpoint& at) {
  wire::Peer peer;
  peer.set_node(node.bytes());
  peer.set_host(at.host);
  peer.set_port(at.port);
  return peer;
}

wire::Position to_wire(const Position& position) {
  wire::Position wire;
  *wire.mutable_peer() = to_peer(position.node, position.at);
  wire.set_index(position.index);
  return wire;
}

void Candidates::offer(const Endpoint& at) {
  insert({at, std::nullopt});
}
void Candidates::offer(const Position& position) {
  insert({position.at, position});
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
    if (!a.position || !b.position) return a.position.has_value() && !b.position.has_value();
    return target_ - a.position->id < target_ - b.position->id;
  };
  auto best = std::min_element(waiting_.begin(), waiting_.end(), better);  // The first of equals.
  Candidate candidate = std::move(*best);
  waiting_.erase(best);
  asked_.insert(candidate.at);
  return candidate;
}

awaitable<Result<std::vector<Position>>> Lookup::run() {
  for (int hop = 0; hop < kLookupHopsMax; ++hop) {
    auto candidate = candidates_.next();
    if (!candidate)
      co_return Error{Errc::unavailable, fmt::format("look up {}: nobody left to ask after {} hops", id_.brief(), hop)};
    auto found = co_await ask(std::move(*candidate));
    if (found) co_return std::move(*found);
  }
  co_return Error{Errc::unavailable, fmt::format("look up {}: no end after {} hops", id_.brief(), kLookupHopsMax)};
}

awaitable<std::optional<std::vector<Position>>> Lookup::ask(Candidates::Candidate candidate) {
  Request request;
  request.header.set_ring(config_.ring.empty() ? std::string() : config_.ring.bytes());
  request.header.mutable_find()->set_id(id_.bytes());

  Hop hop{.node = candidate.at};
  if (candidate.position) {
    hop.index = candidate.position->index;
    hop.position = candidate.position->id;
  }
  Time asked = runtime_.now();
  auto called = co_await transport_.call(candidate.at, std::move(request), config_.timeout);
  auto reply = answered(std::move(called));
  hop.took = runtime_.now() - asked;

  std::optional<std::vector<Position>> found;
  if (!reply) {
    hop.outcome = std::string(name_of(reply.code()));
    if (reply.code() == Errc::unreachable && candidate.position) unreachable_.push_back(*candidate.position);
  } else {
    std::vector<Position> positions;
    for (const auto& wire : reply->header.find().positions())
      if (Position position; parse(wire, position)) positions.push_back(std::move(position));
    if (!reply->header.find().done()) {
      hop.outcome = "next";
      for (std::size_t i = 0; i < std::min(positions.size(), kLookupCandidatesPerHop); ++i)
        candidates_.offer(positions[i]);
    } else if (positions.empty()) {
      hop.outcome = std::string(name_of(Errc::bad_message));
    } else {
      hop.outcome = "owner";
      found = std::move(positions);
    }
  }
  hops_.push_back(std::move(hop));
  co_return found;
}

}  // namespace chordfs
