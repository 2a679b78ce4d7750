#include "tools/sim/network.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "proto/base/check.h"
#include "tools/sim/world.h"

namespace chordfs {

namespace {
constexpr Duration kLoopbackDelay = 20us;

/// Maps in a fixed order: protobuf's own depends on addresses, and sizes and hashes would differ from run to run.
template <class Header>
void serialize(const Header& header, std::string& out) {
  const auto size = header.ByteSizeLong();
  out.resize(size);
  google::protobuf::io::ArrayOutputStream array(out.data(), static_cast<int>(size));
  google::protobuf::io::CodedOutputStream coded(&array);
  coded.SetSerializationDeterministic(true);
  header.SerializeWithCachedSizes(&coded);
}
}  // namespace

void SimNetwork::attach(SimHost& host) {
  const bool added = hosts_.emplace(host.endpoint(), &host).second;
  CHECK(added, "two hosts at {}", host.endpoint().text());
}

// ---- Sending ----

SimNetwork::LetterSlot SimNetwork::write(Type type, SimHost& from, SimHost& to, SimTransport::Caller caller) {
  if (free_.empty()) {
    free_.push_back(static_cast<LetterSlot>(letters_.size()));
    letters_.emplace_back();
  }
  const LetterSlot slot = free_.back();
  free_.pop_back();
  auto& letter = letters_[slot];
  letter.type = type;
  letter.from = &from;
  letter.to = &to;
  letter.caller = caller;
  return slot;
}

void SimNetwork::send_request(SimHost& from, const Endpoint& to, SimTransport::Caller caller, const Request& request) {
  const auto found = hosts_.find(to);
  if (found == hosts_.end()) {  // No such machine: whoever routes for it says so.
    send_bare(Type::refused, from, caller);
    return;
  }
  const auto slot = write(Type::request, from, *found->second, caller);
  serialize(request.header, letters_[slot].header);
  letters_[slot].payload = request.payload;
  if (&from != found->second && rng_.chance(options_.duplication)) {
    ++counters_.duplicated;
    post(copy(slot));
  }
  if (&from != found->second && rng_.chance(options_.echo)) {
    ++counters_.echoed;
    post(copy(slot), options_.echo_after);
  }
  post(slot);
}

SimNetwork::LetterSlot SimNetwork::copy(LetterSlot slot) {
  const auto second = write(letters_[slot].type, *letters_[slot].from, *letters_[slot].to, letters_[slot].caller);
  letters_[second].header = letters_[slot].header;
  letters_[second].payload = letters_[slot].payload;
  return second;
}

void SimNetwork::send_reply(SimHost& from, SimTransport::Caller caller, const Reply& reply) {
  const auto slot = write(Type::reply, from, *caller.host, caller);
  serialize(reply.header, letters_[slot].header);
  letters_[slot].payload = reply.payload;
  if (watch_ != nullptr) watch_->reply_sent(slot, from, *caller.host, reply);
  post(slot);
}

void SimNetwork::send_death(SimHost& from, SimTransport::Caller peer) {
  const auto* listener = peer.host->transport_of(peer.incarnation);
  if (listener != nullptr && listener->death_watch_) send_bare(Type::death, from, peer);
}

void SimNetwork::send_bare(Type type, SimHost& from, SimTransport::Caller caller) {
  post(write(type, from, *caller.host, caller));
}

void SimNetwork::post(LetterSlot slot, Duration later) {
  auto& letter = letters_[slot];
  count(letter);
  const bool loopback = letter.from == letter.to;
  if (!loopback && (!connected(*letter.from, *letter.to) || rng_.chance(options_.loss))) {
    lose(slot);
    return;
  }
  const Duration late = loopback ? kLoopbackDelay : later + delay(*letter.from, *letter.to);
  world_.events_.add(world_.now() + late, {.host = letter.to}, [this, slot] { arrive(slot); });
}

Duration SimNetwork::delay(const SimHost& from, const SimHost& to) {
  Duration delay = options_.delay_min;
  if (options_.delay_mean > options_.delay_min) delay += rng_.exponential(options_.delay_mean - options_.delay_min);
  delay = std::min(delay, options_.delay_max);
  if (rng_.chance(options_.spike)) delay += rng_.between({}, options_.spike_max);
  if (options_.latency) delay += options_.latency(from, to);
  return delay;
}

void SimNetwork::count(const Letter& letter) {
  const auto bytes = letter.header.size() + letter.payload.size();
  auto add = [bytes](NetworkCounters::Count& to) {
    ++to.messages;
    to.bytes += bytes;
  };
  ++letter.from->traffic_.sent;
  letter.from->traffic_.bytes_sent += bytes;
  if (letter.type == Type::request) {
    add(counters_.requests);
    add(counters_.request_kinds.at(letter.caller.kind));
  } else if (letter.type == Type::reply) {
    add(counters_.replies);
  }
}

// ---- Arriving ----

void SimNetwork::arrive(LetterSlot slot) {
  auto& letter = letters_[slot];
  if (letter.from != letter.to && !connected(*letter.from, *letter.to)) {
    lose(slot);
    return;
  }
  // Moved out: what the receiver does may send, and letters_ may grow.
  Letter arrived = std::move(letter);
  if (arrived.type == Type::request)
    deliver_request(arrived);
  else
    deliver_answer(slot, arrived);
  letters_[slot].header = std::move(arrived.header);  // Its memory serves again.
  burn(slot);
}

void SimNetwork::deliver_request(Letter& letter) {
  if (!letter.to->powered()) {
    ++counters_.lost;
    record(Trace::What::lost, letter);
    return;
  }
  auto* receiver = letter.to->listening_transport();
  if (receiver == nullptr) {
    ++counters_.refused;
    send_bare(Type::refused, *letter.to, letter.caller);
    return;
  }
  record(Trace::What::request, letter);
  Request request;
  CHECK(request.header.ParseFromString(letter.header));
  request.payload = std::move(letter.payload);
  if (watch_ != nullptr) watch_->request_arrived(*letter.to, request);
  receiver->receive(letter.caller, std::move(request));
}

void SimNetwork::deliver_answer(LetterSlot slot, Letter& letter) {
  auto* receiver = letter.to->transport_of(letter.caller.incarnation);
  if (watch_ != nullptr && letter.type == Type::reply)
    watch_->reply_arrived(slot, *letter.to, receiver != nullptr && receiver->awaits(letter.caller.call));
  if (receiver == nullptr) return;
  const auto call = letter.caller.call;
  switch (letter.type) {
    case Type::reply: {
      record(Trace::What::reply, letter);
      Reply reply;
      CHECK(reply.header.ParseFromString(letter.header));
      reply.payload = std::move(letter.payload);
      receiver->receive_answer(call, std::move(reply));
      return;
    }
    case Type::refused:
      record(Trace::What::refused, letter);
      if (letter.from != letter.to) receiver->told_of_death(letter.from->endpoint());
      receiver->receive_answer(call, Error{Errc::unreachable, "connection refused"});
      return;
    case Type::reset:
      record(Trace::What::reset, letter);
      receiver->receive_answer(call, Error{Errc::timed_out, "connection reset by " + letter.from->endpoint().text()});
      return;
    case Type::death:
      record(Trace::What::reset, letter);
      receiver->told_of_death(letter.from->endpoint());
      return;
    case Type::request:
      break;
  }
}

void SimNetwork::record(Trace::What what, const Letter& letter) {
  const auto bytes = letter.header.size() + letter.payload.size();
  const std::uint64_t crc = crc32c(letter.payload.view(), crc32c(letter.header));
  if (what == Trace::What::request || what == Trace::What::reply) {
    ++counters_.delivered;
    ++letter.to->traffic_.received;
    letter.to->traffic_.bytes_received += bytes;
  }
  world_.trace_.add({.at = world_.now(),
                     .what = what,
                     .from = letter.from->index(),
                     .to = letter.to->index(),
                     .kind = letter.caller.kind,
                     .detail = crc << 32 | (bytes & 0xffffffff)});
}

void SimNetwork::lose(LetterSlot slot) {
  ++counters_.lost;
  record(Trace::What::lost, letters_[slot]);
  if (watch_ != nullptr && letters_[slot].type == Type::reply) watch_->reply_lost(slot);
  burn(slot);
}

void SimNetwork::burn(LetterSlot slot) {
  letters_[slot].header.clear();
  letters_[slot].payload = {};
  free_.push_back(slot);
}

// ---- Links ----

bool SimNetwork::connected(const SimHost& from, const SimHost& to) const {
  if (!groups_.empty() && group_of(from) != group_of(to)) return false;
  return cuts_.empty() || !cuts_.contains({from.index(), to.index()});
}

std::uint32_t SimNetwork::group_of(const SimHost& host) const {
  return host.index() < groups_.size() ? groups_[host.index()] : 0;
}

void SimNetwork::set_cut(const SimHost& from, const SimHost& to, bool is_cut) {
  if (is_cut)
    cuts_.emplace(from.index(), to.index());
  else
    cuts_.erase({from.index(), to.index()});
  world_.trace_.add({.at = world_.now(),
                     .what = is_cut ? Trace::What::cut : Trace::What::mend,
                     .from = from.index(),
                     .to = to.index()});
}

void SimNetwork::cut(const SimHost& from, const SimHost& to) {
  set_cut(from, to, true);
}
void SimNetwork::mend(const SimHost& from, const SimHost& to) {
  set_cut(from, to, false);
}

void SimNetwork::cut_both(const SimHost& a, const SimHost& b) {
  cut(a, b);
  cut(b, a);
}

void SimNetwork::mend_both(const SimHost& a, const SimHost& b) {
  mend(a, b);
  mend(b, a);
}

void SimNetwork::cut(const Hosts& from, const Hosts& to) {
  for (const auto* sender : from)
    for (const auto* receiver : to)
      if (sender != receiver) cut(*sender, *receiver);
}

void SimNetwork::partition(const std::vector<Hosts>& groups) {
  groups_.assign(world_.host_count(), 0);
  std::uint32_t number = 0;
  for (const auto& group : groups) {
    ++number;
    for (const auto* host : group) groups_[host->index()] = number;
  }
  for (std::uint32_t host = 0; host < groups_.size(); ++host)
    world_.trace_.add({.at = world_.now(), .what = Trace::What::partition, .from = host, .detail = groups_[host]});
}

void SimNetwork::heal_partition() {
  groups_.clear();
  world_.record(Trace::What::heal, Trace::kNobody);
}

void SimNetwork::heal() {
  cuts_.clear();
  heal_partition();
}

}  // namespace chordfs
