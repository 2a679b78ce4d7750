#include "proto/rpc/outgoing.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace chordfs {

namespace {
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

long long milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}
}  // namespace

Outgoing::Outgoing(Runtime& runtime, ConnectionLog& log, Endpoint to)
    : runtime_(runtime), log_(log), to_(std::move(to)), resolver_(runtime.executor()), socket_(runtime.executor()) {}

awaitable<void> Outgoing::run(std::shared_ptr<Outgoing> self, TaskGroup& tasks, std::string program) {
  // Timed from outside: a resolver at work cannot be interrupted.
  auto limit = self->runtime_.schedule(self->runtime_.now() + kConnectTimeMax, [weak = std::weak_ptr(self)] {
    if (auto late = weak.lock(); late && late->state_ == State::opening)
      late->end({Errc::unreachable, fmt::format("connect to {}: no answer within {} ms", late->to_.text(),
                                                milliseconds(kConnectTimeMax))});
  });
  auto result = co_await self->open(std::move(program));
  self->runtime_.cancel(limit);
  if (result && !self->has_ended()) {
    self->state_ = State::open;
    self->settled_.notify_all();
    tasks.spawn("calls writer", write(self));
    result = co_await self->read_replies();
  }
  if (!result) self->end(std::move(result).error());
}

awaitable<Result<void>> Outgoing::open(std::string program) {
  CO_TRY_VOID(co_await connect());
  if (has_ended()) co_return Error{why_};
  link_.emplace(tcp_stream(std::move(socket_)), to_.text());
  co_return co_await link_->greet(std::move(program));
}

awaitable<Result<void>> Outgoing::connect() {
  boost::system::error_code not_numeric;
  const auto address = asio::ip::make_address(to_.host, not_numeric);
  if (!not_numeric) co_return co_await connect_to({address, to_.port});
  auto [error, found] = co_await resolver_.async_resolve(to_.host, std::to_string(to_.port), kNoThrow);
  if (error) co_return Error{Errc::unreachable, fmt::format("find host {}: {}", to_.host, error.message())};
  Result<void> result(Errc::unreachable, fmt::format("host {} has no address", to_.host));
  for (auto at = found.begin(); at != found.end() && !result && !has_ended(); ++at)
    result = co_await connect_to(at->endpoint());
  co_return result;
}

awaitable<Result<void>> Outgoing::connect_to(asio::ip::tcp::endpoint address) {
  boost::system::error_code ignored;
  socket_.close(ignored);  // A socket that failed to connect cannot be used again.
  auto [error] = co_await socket_.async_connect(address, kNoThrow);
  refused_ = error == asio::error::connection_refused;
  if (error) co_return Error{Errc::unreachable, fmt::format("connect to {}: {}", to_.text(), error.message())};
  co_return Result<void>();
}

awaitable<Result<void>> Outgoing::opened(Duration limit) {
  const Time deadline = runtime_.now() + limit;
  while (state_ == State::opening) {
    if (!co_await settled_.wait_for(runtime_, deadline - runtime_.now()) && state_ == State::opening)
      co_return Error{Errc::unreachable,
                      fmt::format("connect to {}: no answer within {} ms", to_.text(), milliseconds(limit))};
  }
  if (has_ended()) co_return Error{why_};
  co_return Result<void>();
}

awaitable<Result<Reply>> Outgoing::exchange(Request request, Duration timeout) {
  const auto call = next_call_++;
  last_used_ = runtime_.now();
  CO_TRY(const auto frame_end, link_->send(call, request.header, std::move(request.payload)));
  OneShot<Result<Reply>> answer;
  pending_.emplace_hint(pending_.end(), call, Pending{answer, frame_end});
  struct Forget {
    Outgoing& connection;
    std::uint64_t call;
    ~Forget() { connection.pending_.erase(call); }
  } forget{*this, call};
  auto reply = co_await answer.wait_for(runtime_, timeout);
  if (reply) co_return std::move(*reply);
  co_return Error{Errc::timed_out, fmt::format("{} did not answer within {} ms", to_.text(), milliseconds(timeout))};
}

void Outgoing::post(Request request) {
  last_used_ = runtime_.now();
  std::ignore = link_->send(kOneWay, request.header, std::move(request.payload));
}

awaitable<Result<void>> Outgoing::read_replies() {
  for (;;) {
    CO_TRY(auto frame, link_->next());
    if (frame) {
      CO_TRY_VOID(deliver(std::move(*frame)));
    } else {
      CO_TRY_VOID(co_await link_->fill());
    }
  }
}

Result<void> Outgoing::deliver(Frame frame) {
  if (!frame.header.has_reply()) return {Errc::bad_message, to_.text() + " sent something else than a reply"};
  // One that nobody waits for any more came too late.
  if (auto waiting = pending_.find(frame.header.call()); waiting != pending_.end())
    waiting->second.answer.set(Reply{std::move(*frame.header.mutable_reply()), std::move(frame.payload)});
  return {};
}

awaitable<void> Outgoing::write(std::shared_ptr<Outgoing> self) {
  auto result = co_await self->link_->write_loop();
  if (!result) self->end(std::move(result).error());
}

void Outgoing::end(Error why) {
  if (has_ended()) return;
  log_.ended(why);
  state_ = State::ended;
  why_ = std::move(why);
  resolver_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (link_) link_->close();
  settled_.notify_all();
  for (auto& [call, pending] : pending_) pending.answer.set(ending_of(pending));
}

Error Outgoing::ending_of(const Pending& pending) const {
  if (why_.code == Errc::cancelled) return why_;
  if (!link_->may_have_sent(pending.frame_end)) return {Errc::unreachable, why_.context + " before the call was sent"};
  return {Errc::timed_out, why_.context + " before it answered"};
}

}  // namespace chordfs
