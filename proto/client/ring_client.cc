#include "proto/client/ring_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "proto/client/under_way.h"
#include "proto/rpc/endpoint.h"
#include "proto/wire/limits.h"

namespace chordfs {

namespace {
constexpr std::size_t kViaMax = 32;
constexpr Duration kPauseFirst = 5ms;
constexpr Duration kPauseMax = 100ms;
constexpr Duration kConnectTimeout = 2s;
/// Megabytes onto several disks; and of a call's time enough is left for who leads after a frozen node.
constexpr Duration kPutBlockTimeout = 1500ms;
/// A node that did not answer is asked last for so long.
constexpr Duration kSilentFor = 2s;
/// One that could not be reached only after so long is silent; otherwise it refused: nobody listens there.
constexpr Duration kRefusedWithin = 500ms;
/// One that was silent is asked again if others name it as leader so much later: they forget one that is silent to
/// them.
constexpr Duration kNamedInSpite = 300ms;
/// Of the nodes that were asked in vain the last so many are named in the error.
constexpr std::size_t kTriesTold = 6;
/// Towards the end of a call those that were silent in it are asked once more.
constexpr Duration kLastTry = 700ms;
/// As long as a node says that it works on it, a call may take so long.
constexpr Duration kSlowMax = 20s;
constexpr std::size_t kWalkNodesMax = 10'000;
constexpr int kWalkParallel = 16;  // So that a few frozen nodes cost one timeout together.
}  // namespace

RingClient::RingClient(Runtime& runtime, Transport& transport, std::vector<Endpoint> via)
    : runtime_(runtime), transport_(transport), via_(via.begin(), via.end()), tasks_(runtime), asks_(runtime) {}

RingClient::~RingClient() = default;

void RingClient::adopt(Uuid ring, ArcMap arcs) {
  ring_ = ring;
  arcs_ = arcs;
}

awaitable<Result<void>> RingClient::connect() {
  Error last{Errc::unreachable, "no node was named"};
  for (const auto& node : std::vector<Endpoint>(via_.begin(), via_.end())) {
    Request request;
    request.header.mutable_ring_info();
    auto reply = answered(co_await transport_.call(node, std::move(request), kConnectTimeout));
    if (!reply) {
      last = {reply.code(), fmt::format("{}: {}", node.text(), reply.error().context)};
      continue;
    }
    const auto& info = reply->header.ring_info();
    if (!Uuid::parse(info.ring(), ring_) || info.arc_bits() > ArcMap::kBitsMax) {
      last = {Errc::bad_message, fmt::format("{} is no ChordFS node, or not yet in a ring", node.text())};
      continue;
    }
    arcs_ = ArcMap(static_cast<int>(info.arc_bits()));
    relaxed_ = info.relaxed();
    for (const auto& peer : info.peers()) add_peer(endpoint_of(peer));
    co_return Result<void>();
  }
  co_return last;
}

void RingClient::add_peer(Endpoint peer) {
  if (std::find(via_.begin(), via_.end(), peer) != via_.end()) return;
  if (via_.size() >= kViaMax) via_.pop_back();
  via_.push_back(std::move(peer));
}

awaitable<void> RingClient::stop() {
  tasks_.stop();
  asks_.stop();
  co_await tasks_.join();
  co_await asks_.join();
}

awaitable<Result<Reply>> RingClient::call(Endpoint to, Request request, Duration timeout) {
  request.header.set_ring(ring_.bytes());
  ++counters_.calls;
  co_return co_await transport_.call(std::move(to), std::move(request), timeout);
}

awaitable<Result<Location>> RingClient::locate(Id id) {
  co_return co_await search(id, nullptr, std::nullopt, Time::max());
}

/// `known`: the cache to use. `dead`: someone found dead just now, whom the answer had better not name.
awaitable<Result<Location>> RingClient::search(Id id, Locations* known, std::optional<Endpoint> dead, Time until) {
  Lookup search(runtime_, transport_, asks_,
                {.ring = ring_, .locations = known, .counters = &counters_.lookups, .until = until}, id);
  if (dead) search.avoid(*dead);
  for (const auto& door : via_) search.candidates().offer(door);
  auto found = co_await search.run();
  if (!found) co_return found.error();
  Location location;
  location.arc = arcs_.arc_of(id);
  location.point = arcs_.point(location.arc);
  location.hops = search.hops();
  std::set<Uuid> seen;
  for (const auto& position : *found) {
    if (!seen.insert(position.node).second) continue;
    auto peer = to_peer(position.node, position.at);
    if (seen.size() == 1)
      location.owner = std::move(peer);
    else
      *location.successors.emplace(location.successors.end()) = std::move(peer);
    // Whoever is named is a door for later, so that the client outlives the node it came in by.
    add_peer(position.at);
  }
  co_return location;
}

awaitable<Result<std::vector<Endpoint>>> RingClient::candidates(ArcNumber arc, std::optional<Endpoint> dead,
                                                                Time until) {
  CO_TRY(auto location, co_await search(arcs_.point(arc), &locations_, std::move(dead), until));
  std::vector<Endpoint> nodes{endpoint_of(location.owner)};
  for (const auto& peer : location.successors) nodes.push_back(endpoint_of(peer));
  co_return nodes;
}

/// A lookup of one hop that was the call itself.
void RingClient::count_guess() {
  ++counters_.lookups.lookups;
  ++counters_.lookups.cache_hits;
  ++counters_.lookups.hops;
}

/// Where to try next: the cache, then hints as they come, then the ring.
class RingClient::Attempt {
 public:
  /// Begin with this one, unless it was silent a moment ago.
  void begin(Endpoint node) {
    if (!doubtful_.contains(node)) next_.push_front(std::move(node));
  }
  /// Unless it has just been silent in this very call: others may have chosen a new leader, and do not know it yet. Who
  /// names it even later hears it, though we do not.
  void follow(Endpoint node, Time now) {
    if (auto silent = silent_.find(node); silent != silent_.end() && now < silent->second + kNamedInSpite) return;
    next_.push_front(std::move(node));
  }
  void again(Endpoint node) { next_.push_front(std::move(node)); }
  /// `all`: also those that were silent; there is not much time left to find anybody else.
  void refill(std::vector<Endpoint> nodes, bool all) {
    next_.clear();
    std::vector<Endpoint> last;
    for (auto& node : nodes)
      if (silent_.contains(node) || doubtful_.contains(node))
        last.push_back(std::move(node));
      else
        next_.push_back(std::move(node));
    if (all || next_.empty()) next_.insert(next_.end(), last.begin(), last.end());
  }
  void was_silent(const Endpoint& node, Time now) { silent_[node] = now; }
  void doubt(const Endpoint& node) { doubtful_.insert(node); }
  std::optional<Endpoint> pop() {
    if (next_.empty()) return std::nullopt;
    auto node = std::move(next_.front());
    next_.pop_front();
    return node;
  }
  /// What came of asking one, for people.
  void in_vain(const Endpoint& node, Errc code, Duration took) {
    tries_.push_back({node, code, took});
    if (tries_.size() > kTriesTold) tries_.pop_front();
  }
  std::string tries() const {
    std::string text;
    for (const auto& one : tries_)
      text += fmt::format("{}{} {} after {} ms", text.empty() ? "" : "; ", one.node.text(), name_of(one.code),
                          std::chrono::duration_cast<std::chrono::milliseconds>(one.took).count());
    return text;
  }
  Duration pause() { return std::exchange(pause_, std::min(pause_ * 2, kPauseMax)); }

 private:
  std::deque<Endpoint> next_;
  std::map<Endpoint, Time> silent_;  ///< Did not answer in this call, and when that was seen.
  std::set<Endpoint> doubtful_;      ///< … in another, a moment ago.
  struct Try {
    Endpoint node;
    Errc code;
    Duration took;
  };
  std::deque<Try> tries_;  ///< In vain.
  Duration pause_ = kPauseFirst;
};

awaitable<Result<Reply>> RingClient::call_arc(ArcNumber arc, Request request, Duration deadline) {
  auto until = runtime_.now() + deadline;
  const auto last_moment = runtime_.now() + std::max(deadline, kSlowMax);
  Attempt attempt;
  // One that is frozen costs a second once, not once for every arc that it led.
  std::erase_if(silent_until_, [now = runtime_.now()](const auto& one) { return one.second <= now; });
  for (const auto& [silent, until_then] : silent_until_) attempt.doubt(silent);
  std::optional<Position> guess;
  if (auto known = cache_.find(arc); known != cache_.end())
    attempt.begin(known->second);
  else if ((guess = locations_.owner(arcs_.point(arc))))
    attempt.begin(guess->at);
  std::optional<Endpoint> dead;
  Error last{Errc::unavailable, fmt::format("no node of the ring answered for arc {}", arc)};
  bool looked_up = false, said = false;
  while (runtime_.now() < until) {
    auto node = attempt.pop();
    if (!node) {
      if (std::exchange(looked_up, true)) {
        ++counters_.retries;
        co_await runtime_.sleep(std::min(runtime_.jitter(attempt.pause()), Duration(until - runtime_.now())));
      }
      auto nodes = co_await candidates(arc, std::exchange(dead, std::nullopt), until);
      if (nodes)
        attempt.refill(std::move(*nodes), until - runtime_.now() <= kLastTry);
      else if (nodes.code() == Errc::cancelled)
        co_return nodes.error();
      else
        last = nodes.error();
      continue;
    }
    const auto patience = request.header.has_put_block() ? kPutBlockTimeout : kClientCallTimeout;
    const auto asked = runtime_.now();
    auto timeout = std::min(patience, Duration(until - asked));
    auto reply = co_await call(*node, request, timeout);
    auto code = reply ? static_cast<Errc>(reply->header.error()) : reply.code();
    const auto took = runtime_.now() - asked;
    if (reply) silent_until_.erase(*node);
    // Somebody else's node may have that address now; ours is not there.
    const bool heard = reply && code != Errc::wrong_ring;
    switch (code) {
      case Errc::not_owner:
        ++counters_.redirects;
        attempt.in_vain(*node, code, took);
        cache_.erase(arc);
        if (guess && *node == guess->at) counters_.lookups.stale += locations_.drop_wrong(arcs_.point(arc), *guess);
        if (reply->header.has_hint() && endpoint_of(reply->header.hint()) != *node)
          attempt.follow(endpoint_of(reply->header.hint()), runtime_.now());
        last = {Errc::unavailable, fmt::format("nobody holds arc {} now", arc)};
        continue;
      case Errc::wrong_ring:
      case Errc::unreachable:
      case Errc::timed_out:
      case Errc::busy:
      case Errc::locked:
        attempt.in_vain(*node, code, took);
        if (code == Errc::timed_out && reply) {
          // It lives and leads, and something there is slow: that is worth waiting for, under the same identity.
          until = std::min(runtime_.now() + deadline, last_moment);
          last = {Errc::unavailable, fmt::format("arc {} at {}: slow", arc, node->text())};
          co_await runtime_.sleep(runtime_.jitter(attempt.pause()));
          attempt.again(*node);
          continue;
        }
        if (!heard) {
          // Also busy: what waits to be sent to it is too much already.
          cache_.erase(arc);
          attempt.was_silent(*node, runtime_.now());
          if (code != Errc::unreachable || took > kRefusedWithin) silent_until_[*node] = runtime_.now() + kSilentFor;
        }
        if (code == Errc::unreachable || code == Errc::wrong_ring) {
          counters_.lookups.stale += locations_.forget(*node);
          std::erase_if(cache_, [&node](const auto& known) { return known.second == *node; });
          dead = *node;
        }
        // What a node said explains more than that another, or later the same, said nothing.
        if (reply || !said)
          last = {Errc::unavailable, fmt::format("arc {} at {}: {}", arc, node->text(),
                                                 Error{code, reply ? reply->header.context() : "no answer"}.text())};
        said = said || reply.has_value();
        ++counters_.retries;
        if (heard) {
          co_await runtime_.sleep(std::min(runtime_.jitter(attempt.pause()), Duration(until - runtime_.now())));
          attempt.again(*node);
        }
        continue;
      default:
        if (!reply) co_return reply.error();
        if (guess && *node == guess->at && !looked_up) count_guess();
        cache_[arc] = *node;
        co_return answered(std::move(reply));
    }
  }
  last.context += " (" + attempt.tries() + ")";
  co_return last;
}

awaitable<Result<wire::QueryAnswer>> RingClient::query(ArcNumber arc, wire::Query query) {
  CO_TRY(auto answer, co_await look(arc, std::move(query)));
  if (answer.error() != 0) co_return Error{static_cast<Errc>(answer.error()), answer.context()};
  co_return answer;
}

awaitable<Result<wire::QueryAnswer>> RingClient::look(ArcNumber arc, wire::Query query) {
  const auto session = session_;
  Request request;
  auto& ask = *request.header.mutable_query();
  ask.set_arc(arc);
  ask.set_session(session);
  if (leases_) ask.set_lease(leases_->incarnation(arc));
  *ask.mutable_query() = std::move(query);
  CO_TRY(auto reply, co_await call_arc(arc, std::move(request)));
  auto& answer = *reply.header.mutable_query();
  stamp(arc, session, answer);
  co_return std::move(answer);
}

template <class Answer>
void RingClient::stamp(ArcNumber arc, std::uint64_t session, Answer& answer) {
  std::uint64_t stamp = 0;
  if (auto from = cache_.find(arc); leases_ && from != cache_.end() && session == session_)
    stamp = leases_->answered(arc, from->second, session, {answer.lease(), answer.lease_term(), answer.lease_number()});
  answer.set_lease(stamp);
}

void RingClient::lease(LeaseHolder& holder) {
  leases_.emplace(runtime_, tasks_,
                  LeaseKeeper::Hooks{
                      .call = [this](Endpoint node, Request request,
                                     Duration timeout) { return call(std::move(node), std::move(request), timeout); },
                      .is_open = [this](std::uint64_t ino) { return opens_.contains(ino); },
                      .holder = &holder});
}

awaitable<Result<wire::Answer>> RingClient::operate(ArcNumber arc, wire::Operation operation) {
  Request request;
  request.header.mutable_operation()->set_arc(arc);
  *request.header.mutable_operation()->mutable_operation() = std::move(operation);
  CO_TRY(auto reply, co_await call_arc(arc, std::move(request)));
  co_return std::move(*reply.header.mutable_answer());
}

/// A sequence number in use; while it is, no arc may forget its answer.
struct RingClient::Outstanding {
  explicit Outstanding(RingClient& c) : client(c), seq(c.next_seq_++) { client.outstanding_.insert(seq); }
  ~Outstanding() { client.outstanding_.erase(seq); }
  RingClient& client;
  std::uint64_t seq;
};

awaitable<Result<wire::Answer>> RingClient::transact(wire::Transaction transaction, std::uint64_t opened) {
  if (session_ == 0) co_return Error{Errc::session_closed, "this client has no session"};
  if (transaction.parts().empty()) co_return Error{Errc::invalid, "a transaction without parts"};
  auto place = co_await places_.acquire();
  Outstanding number(*this);
  auto session = session_;
  auto arc = transaction.parts(0).arc();
  Request request;
  auto& ask = *request.header.mutable_transaction();
  ask.mutable_identity()->set_session(session);
  ask.mutable_identity()->set_seq(number.seq);
  ask.mutable_identity()->set_first_unacked(*outstanding_.begin());
  ask.set_opened(opened);
  if (leases_) {
    const auto [lease, granted] = leases_->granted(arc);
    ask.set_lease(lease);
    ask.set_lease_number(granted);
  }
  *ask.mutable_transaction() = std::move(transaction);
  if (relaxed_ && request.header.transaction().transaction().parts_size() == 1) unsynced_[arc] = ++changes_;
  auto reply = co_await call_arc(arc, std::move(request));
  if (!reply) {
    if (reply.code() == Errc::session_closed && session_ == session) session_ = 0;
    co_return reply.error();
  }
  auto& answer = *reply->header.mutable_answer();
  auto code = static_cast<Errc>(answer.error());
  if (code == Errc::session_closed && session_ == session) session_ = 0;
  if (code != Errc::ok && code != Errc::stale) co_return Error{code, answer.context()};
  stamp(arc, session, answer);
  co_return std::move(answer);
}

awaitable<Result<void>> RingClient::open_session(std::string name) {
  if (session_ != 0) co_return Result<void>();
  wire::Operation operation;
  operation.mutable_open_session()->set_name(std::move(name));
  const auto asked = runtime_.now();
  // A retry that opens two leaves one that nobody renews: it expires.
  CO_TRY(auto answer, co_await operate(random_arc(), std::move(operation)));
  if (answer.error() != 0) co_return Error{static_cast<Errc>(answer.error()), answer.context()};
  session_ = last_session_ = answer.session();
  renewed_ = asked;
  if (!std::exchange(renewing_, true)) tasks_.spawn("renew the session", renew());
  co_return Result<void>();
}

awaitable<void> RingClient::close_session() {
  auto session = std::exchange(session_, 0);
  if (session == 0) co_return;
  wire::Operation operation;
  operation.mutable_close_session()->set_session(session);
  std::ignore = co_await operate(arc_of_ino(session), std::move(operation));  // Otherwise it expires by itself.
}

awaitable<void> RingClient::renew() {
  for (;;) {
    co_await runtime_.sleep(runtime_.jitter(kSessionRenewEvery, 0.1));
    if (session_ == 0) continue;
    std::map<ArcNumber, std::vector<std::uint64_t>> by_arc;
    by_arc[arc_of_ino(session_)];
    for (const auto& [ino, count] : opens_) by_arc[arc_of_ino(ino)].push_back(ino);
    for (auto& [arc, inos] : by_arc) tasks_.spawn("assert opens", assert_opens(arc, std::move(inos)));
  }
}

awaitable<Result<void>> RingClient::confirm_session() {
  if (session_ == 0) co_return Error{Errc::session_closed, "the session has expired"};
  if (runtime_.now() - renewed_ < kSessionSureFor) co_return Result<void>();
  co_await assert_opens(arc_of_ino(session_), {});
  if (session_ == 0) co_return Error{Errc::session_closed, "the session has expired"};
  if (runtime_.now() - renewed_ < kSessionSureFor) co_return Result<void>();
  co_return Error{Errc::unavailable, "whether the session is still open, nobody says"};
}

awaitable<void> RingClient::assert_opens(ArcNumber arc, std::vector<std::uint64_t> inos) {
  const auto asked = runtime_.now();
  Request request;
  auto& opens = *request.header.mutable_assert_opens();
  opens.set_arc(arc);
  auto session = session_;
  opens.set_session(session);
  opens.mutable_inos()->Add(inos.begin(), inos.end());
  auto reply = co_await call_arc(arc, std::move(request), kSessionRenewEvery);
  if (reply && session_ == session && arc == arc_of_ino(session)) renewed_ = std::max(renewed_, asked);
  if (reply.code() == Errc::session_closed && session_ == session) session_ = 0;
}

void RingClient::opened(std::uint64_t ino) {
  ++opens_[ino];
}

void RingClient::released(std::uint64_t ino) {
  auto open = opens_.find(ino);
  if (open != opens_.end() && --open->second == 0) opens_.erase(open);
}

awaitable<Result<void>> RingClient::put_block(std::string block, Bytes contents) {
  auto arc = arc_of_block(block);
  Request request;
  auto& put = *request.header.mutable_put_block();
  put.set_arc(arc);
  put.set_crc(crc32c(contents.view()));
  put.set_block(std::move(block));
  request.payload = std::move(contents);
  CO_TRY_VOID(co_await call_arc(arc, std::move(request)));
  co_return Result<void>();
}

awaitable<Result<Bytes>> RingClient::get_block(std::string block, std::uint32_t offset, std::uint32_t length) {
  auto arc = arc_of_block(block);
  Request request;
  auto& get = *request.header.mutable_get_block();
  get.set_arc(arc);
  get.set_block(block);
  get.set_offset(offset);
  get.set_length(length);
  CO_TRY(auto reply, co_await call_arc(arc, std::move(request)));
  if (crc32c(reply.payload.view()) != reply.header.block().crc())
    co_return Error{Errc::corrupt, fmt::format("block {} of arc {} was altered on its way", hex(block), arc)};
  co_return std::move(reply.payload);
}

awaitable<Result<void>> RingClient::sync_arc(ArcNumber arc) {
  const auto change = unsynced_.contains(arc) ? unsynced_[arc] : 0;
  Request request;
  request.header.mutable_sync_arc()->set_arc(arc);
  CO_TRY_VOID(co_await call_arc(arc, std::move(request)));
  // Another sync may wait for the same: it stays named until one of them is through.
  if (auto found = unsynced_.find(arc); found != unsynced_.end() && found->second == change) unsynced_.erase(found);
  co_return Result<void>();
}

awaitable<Result<void>> RingClient::sync(ArcNumber arc) {
  if (!relaxed_) co_return Result<void>();
  auto arcs = unsynced_;
  arcs.try_emplace(arc, 0);
  for (const auto& [number, change] : arcs) CO_TRY_VOID(co_await sync_arc(number));
  co_return Result<void>();
}

awaitable<Result<void>> RingClient::drop_blocks(ArcNumber arc, std::vector<std::string> blocks) {
  Request request;
  request.header.mutable_drop_block()->set_arc(arc);
  for (auto& block : blocks) request.header.mutable_drop_block()->add_blocks(std::move(block));
  CO_TRY_VOID(co_await call_arc(arc, std::move(request)));
  co_return Result<void>();
}

/// The whole ring, each node asked once, several at a time.
struct RingClient::Walk {
  bool with_blocks = false;
  std::map<std::string, wire::Status> found = {};
  std::deque<Endpoint> next = {};
  std::set<Endpoint> seen = {};
  int asking = 0;
  Error last{Errc::unreachable, "no node answered"};
  Signal progress = {};

  void meet(Endpoint node) {
    if (seen.size() < kWalkNodesMax && seen.insert(node).second) next.push_back(std::move(node));
  }
  void meet(const wire::Position& position) {
    if (!position.peer().node().empty()) meet(endpoint_of(position.peer()));
  }
  void take(wire::Status status) {
    for (const auto& position : status.positions()) {
      meet(position.predecessor());
      for (const auto& successor : position.successors()) meet(successor);
    }
    auto id = status.peer().node();
    found.emplace(std::move(id), std::move(status));
  }
};

awaitable<void> RingClient::visit(std::shared_ptr<Walk> walk, Endpoint node) {
  UnderWay asking(walk->asking, walk->progress);
  Request request;
  request.header.mutable_status()->set_blocks(walk->with_blocks);
  auto reply = answered(co_await call(std::move(node), std::move(request), kClientCallTimeout));
  if (reply)
    walk->take(std::move(*reply->header.mutable_status()));
  else
    walk->last = reply.error();
}

awaitable<Result<std::vector<wire::Status>>> RingClient::walk(bool with_blocks) {
  auto walk = std::make_shared<Walk>(with_blocks);
  for (const auto& door : via_) walk->meet(door);
  while (!asks_.stopping() && walk->last.code != Errc::cancelled) {
    if (walk->asking < kWalkParallel && !walk->next.empty()) {
      auto node = std::move(walk->next.front());
      walk->next.pop_front();
      asks_.spawn("walk", visit(walk, std::move(node)));
    } else if (walk->asking > 0) {
      co_await walk->progress.wait();
    } else {
      break;
    }
  }
  if (asks_.stopping()) co_return Error{Errc::cancelled, "walk the ring"};
  if (walk->found.empty() || walk->last.code == Errc::cancelled) co_return walk->last;
  std::vector<wire::Status> nodes;
  for (auto& [id, status] : walk->found) nodes.push_back(std::move(status));
  co_return nodes;
}

}  // namespace chordfs
