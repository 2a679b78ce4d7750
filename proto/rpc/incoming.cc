#include "proto/rpc/incoming.h"

#include <fmt/format.h>

namespace chordfs {

namespace {
/// A small request is taken for this much, coroutine and all, because measuring it costs more than executing it.
constexpr std::size_t kSmallRequestBytes = 4096;
constexpr std::size_t kSmallHeaderBytesMax = 512;
}  // namespace

Incoming::Place::Place(std::shared_ptr<Incoming> connection, std::size_t bytes)
    : connection_(std::move(connection)), bytes_(bytes) {
  ++connection_->requests_;
  connection_->bytes_ += bytes_;
  connection_->account();
}

Incoming::Place::~Place() {
  if (!connection_) return;
  const bool was_full = connection_->full();
  --connection_->requests_;
  connection_->bytes_ -= bytes_;
  connection_->account();
  if (was_full) connection_->link_.progress().notify_all();
}

Incoming::Incoming(Shared& shared, std::unique_ptr<Stream> stream, std::string peer)
    : shared_(shared), link_(std::move(stream), std::move(peer)), last_heard_(shared.runtime.now()) {
  ++shared_.connections;
}

Incoming::~Incoming() {
  shared_.budget.change(accounted_, 0);
  --shared_.connections;
}

awaitable<void> Incoming::run(std::shared_ptr<Incoming> self, TaskGroup& tasks, std::string program) {
  auto& runtime = self->shared_.runtime;
  auto limit = runtime.schedule(runtime.now() + self->shared_.limits.hello_time, [weak = std::weak_ptr(self)] {
    if (auto silent = weak.lock(); silent && !silent->greeted_)
      silent->end(Complaint::silent, fmt::format("closed a connection: {} sent no Hello in time: is it a ChordFS "
                                                 "program?",
                                                 silent->peer()));
  });
  auto result = co_await self->link_.greet(program);
  runtime.cancel(limit);
  self->greeted_ = true;
  if (result) result = co_await self->serve(self, tasks, std::move(program));
  if (!result) self->end(result.error());
}

awaitable<Result<void>> Incoming::serve(std::shared_ptr<Incoming> self, TaskGroup& tasks, std::string program) {
  tasks.spawn("replies writer", write(self));
  for (;;) {
    paused_ = full();
    if (paused_ && !link_.closed()) {
      co_await link_.progress().wait();
      continue;
    }
    CO_TRY(auto frame, link_.next());
    if (!frame) {
      CO_TRY_VOID(co_await fill());
      continue;
    }
    progress_ = {};
    if (!frame->header.has_request())
      co_return Error{Errc::bad_message, peer() + " sent something else than a request"};
    has_asked_ = true;
    Request request{std::move(*frame->header.mutable_request()), std::move(frame->payload)};
    Place place(self, request_bytes(request.header, frame->header_bytes, request.payload.size()));
    tasks.spawn("request", answer(self, frame->header.call(), std::move(request), std::move(place)));
  }
}

awaitable<Result<void>> Incoming::fill() {
  const auto before = link_.half_received();
  CO_TRY_VOID(co_await link_.fill());
  progress_.came(link_.half_received() - before);
  last_heard_ = shared_.runtime.now();
  account();
  co_return Result<void>();
}

awaitable<void> Incoming::write(std::shared_ptr<Incoming> self) {
  auto result = co_await self->link_.write_loop();
  if (!result) self->end(result.error());
}

awaitable<void> Incoming::answer(std::shared_ptr<Incoming> self, std::uint64_t call, Request request, Place) {
  const auto& handler = self->shared_.handler;
  if (call == kOneWay) {
    if (handler) std::ignore = co_await handler(std::move(request));
    co_return;
  }
  if (!handler) {
    self->reply(call, error_reply({Errc::busy, "this node is starting"}));
    co_return;
  }
  auto answer = co_await handler(std::move(request));
  if (answer.header.error() == static_cast<std::uint32_t>(Errc::wrong_ring))
    self->shared_.log.complain(Complaint::ring, "refused a request: " + self->peer() + " is of another ring");
  self->reply(call, std::move(answer));
}

void Incoming::reply(std::uint64_t call, Reply reply) {
  auto sent = link_.send(call, reply.header, std::move(reply.payload));
  if (!sent && !link_.closed()) {
    auto refusal = error_reply(sent.error());
    if (!link_.send(call, refusal.header, {})) end(sent.error());
  }
  account();
}

bool Incoming::full() const {
  const auto& limits = shared_.limits;
  if (requests_ >= limits.requests_each || bytes_ + link_.queued_bytes() > limits.bytes_each) return true;
  return shared_.budget.over() && accounted_ > shared_.budget.share(shared_.connections);
}

void Incoming::account() {
  const auto held = bytes_ + loose_bytes();
  shared_.budget.change(accounted_, held);
  accounted_ = held;
}

void Incoming::look(Duration passed) {
  account();
  if (link_.closed() || !greeted_) return;
  if (paused_) {
    progress_ = {};
    if (!full()) link_.progress().notify_all();
    return;
  }
  if (!link_.midway() || !progress_.too_slow(passed, shared_.limits)) return;
  end(Complaint::slow, fmt::format("closed a connection: {} sent {} bytes of a frame in {} s and not the rest", peer(),
                                   link_.half_received(), progress_.waited() / 1s));
}

void Incoming::end(const Error& why) {
  if (link_.closed()) return;
  shared_.log.ended(why);
  close();
}

void Incoming::end(Complaint kind, std::string_view why) {
  if (link_.closed()) return;
  shared_.log.complain(kind, why);
  close();
}

void Incoming::close() {
  link_.close();
  account();
}

std::size_t request_bytes(const wire::Request& header, std::size_t header_bytes, std::size_t payload_bytes) {
  // Parsed, a message of many small parts takes twenty times its bytes on the wire.
  const auto parsed = header_bytes <= kSmallHeaderBytesMax ? kSmallRequestBytes : header.SpaceUsedLong();
  return parsed + data_bytes(header, payload_bytes);
}

}  // namespace chordfs
