#include <utility>

#include "proto/base/check.h"
#include "proto/wire/limits.h"
#include "tools/sim/network.h"
#include "tools/sim/world.h"

namespace chordfs {

SimTransport::SimTransport(World& world, SimHost& host, SimRuntime& runtime, TaskGroup& tasks,
                           std::uint64_t incarnation)
    : world_(world), host_(host), runtime_(runtime), tasks_(tasks), incarnation_(incarnation) {}

SimTransport::~SimTransport() {
  CHECK(pending_.empty(), "a call by host {} outlives its incarnation", host_.index());
}

awaitable<Result<Reply>> SimTransport::call(Endpoint to, Request request, Duration timeout) {
  if (closed_) co_return Error{Errc::cancelled, "the process is dead"};
  if (request.header.ByteSizeLong() > kFrameHeaderBytesMax || request.payload.size() > kFramePayloadBytesMax)
    co_return Error{Errc::bad_message, "request over the cap"};

  const auto call = ++calls_;
  const auto kind = static_cast<std::uint32_t>(request.header.kind_case());
  OneShot<Result<Reply>> answer;
  pending_.emplace(call, answer);
  struct Forget {
    SimTransport& transport;
    std::uint64_t call;
    std::uint32_t kind;
    ~Forget() {
      transport.pending_.erase(call);
      // What a dead process still does nobody sees.
      if (auto* watch = transport.world_.network().watch_; watch != nullptr && !transport.closed_)
        watch->call_ended(transport.host_, kind);
    }
  } forget{*this, call, kind};
  if (auto* watch = world_.network().watch_) watch->called(host_, to, request);
  world_.network().send_request(host_, to, {&host_, incarnation_, call, kind}, request);
  request = {};

  auto waited = co_await answer.wait_for(runtime_, timeout);
  Result<Reply> result =
      waited ? std::move(*waited) : Error{Errc::timed_out, request_kind_name(kind) + " to " + to.text()};
  if (result.code() == Errc::unreachable) result = Error{Errc::unreachable, to.text() + ": connection refused"};
  if (auto* watch = world_.network().watch_; watch != nullptr && !closed_) watch->call_answered(host_, to, result);
  co_return result;
}

void SimTransport::post(Endpoint to, Request request) {
  if (closed_ || request.header.ByteSizeLong() > kFrameHeaderBytesMax) return;
  const auto kind = static_cast<std::uint32_t>(request.header.kind_case());
  world_.network().send_request(host_, to, {&host_, incarnation_, kOneWay, kind}, request);
}

void SimTransport::serve(Handler handler) {
  CHECK(handler_ == nullptr, "host {} serves already", host_.index());
  handler_ = std::move(handler);
  world_.record(Trace::What::listen, host_.index());
}

void SimTransport::told_of_death(const Endpoint& at) {
  if (death_watch_ && !closed_) death_watch_(at);
}

void SimTransport::receive(Caller caller, Request request) {
  if (caller.host != &host_) callers_[caller.host->index()] = {caller.host, caller.incarnation, kOneWay, caller.kind};
  tasks_.spawn("serve", serve_one(caller, std::move(request)));
}

awaitable<void> SimTransport::serve_one(Caller caller, Request request) {
  struct Entry : Serving {
    explicit Entry(SimTransport& t) : transport(t) { transport.serving_.push_back(*this); }
    ~Entry() {
      // The handler was cancelled, but the process lives: the caller sees its connection close.
      if (!answered && !transport.closed_ && caller.call != kOneWay)
        transport.world_.network().send_bare(SimNetwork::Type::reset, transport.host_, caller);
      transport.serving_.erase(transport.serving_.iterator_to(*this));
    }
    SimTransport& transport;
    bool answered = false;
  } entry(*this);
  entry.caller = caller;

  auto* watch = world_.network().watch_;
  const bool watched = watch != nullptr && watch->wants_reply_to(request);
  const wire::Request asked = watched ? request.header : wire::Request();
  Reply reply = co_await handler_(std::move(request));
  if (closed_) co_return;
  if (watched) watch->served(host_, asked, reply);
  entry.answered = true;
  if (caller.call == kOneWay) co_return;
  if (reply.header.ByteSizeLong() > kFrameHeaderBytesMax || reply.payload.size() > kFramePayloadBytesMax)
    reply = error_reply({Errc::bad_message, "reply over the cap"});
  world_.network().send_reply(host_, caller, reply);
}

bool SimTransport::awaits(std::uint64_t call) const {
  const auto waiting = pending_.find(call);
  return waiting != pending_.end() && !waiting->second.ready();
}

void SimTransport::receive_answer(std::uint64_t call, Result<Reply> answer) {
  // Nobody waits any more: the call has timed out, or this is the second copy.
  if (const auto waiting = pending_.find(call); waiting != pending_.end()) waiting->second.set(std::move(answer));
}

void SimTransport::close(SimHost::Death death) {
  closed_ = true;
  if (death == SimHost::Death::process)
    for (const auto& serving : serving_) world_.network().send_bare(SimNetwork::Type::reset, host_, serving.caller);
  if (death == SimHost::Death::process)
    for (const auto& [index, caller] : callers_) world_.network().send_death(host_, caller);
  for (const auto& [call, answer] : pending_) answer.set(Error{Errc::cancelled, "the process died"});
}

}  // namespace chordfs
