#include "proto/rpc/incoming.h"

namespace chordfs {

Incoming::Place::Place(std::shared_ptr<Incoming> connection, std::size_t bytes)
    : connection_(std::move(connection)), bytes_(bytes) {
  ++connection_->requests_;
  connection_->bytes_ += bytes_;
}

Incoming::Place::~Place() {
  if (!connection_) return;
  const bool was_full = connection_->full();
  --connection_->requests_;
  connection_->bytes_ -= bytes_;
  if (was_full) connection_->link_.progress().notify_all();
}

Incoming::Incoming(Runtime& runtime, std::unique_ptr<Stream> stream, std::string peer,
                   const Transport::Handler& handler)
    : runtime_(runtime), handler_(handler), link_(std::move(stream), std::move(peer)) {}

awaitable<void> Incoming::run(std::shared_ptr<Incoming> self, TaskGroup& tasks, std::string program) {
  auto limit = self->runtime_.schedule(self->runtime_.now() + kHelloTimeMax, [weak = std::weak_ptr(self)] {
    if (auto silent = weak.lock(); silent && !silent->greeted_)
      silent->end({Errc::bad_message, silent->link_.peer() + " sent no Hello in time: is it a ChordFS program?"});
  });
  auto result = co_await self->link_.greet(program);
  self->runtime_.cancel(limit);
  self->greeted_ = true;
  if (result) result = co_await self->serve(self, tasks, std::move(program));
  if (!result) self->end(result.error());
}

awaitable<Result<void>> Incoming::serve(std::shared_ptr<Incoming> self, TaskGroup& tasks, std::string program) {
  tasks.spawn("replies writer", write(self));
  for (;;) {
    CO_TRY(auto frame, link_.next());
    if (!frame) {
      CO_TRY_VOID(co_await link_.fill());
      continue;
    }
    if (!frame->header.has_request())
      co_return Error{Errc::bad_message, link_.peer() + " sent something else than a request"};
    Request request{std::move(*frame->header.mutable_request()), std::move(frame->payload)};
    Place place(self, data_bytes(request.header, request.payload.size()));
    tasks.spawn("request", answer(self, frame->header.call(), std::move(request), std::move(place)));
    while (full() && !link_.closed()) co_await link_.progress().wait();
  }
}

awaitable<void> Incoming::write(std::shared_ptr<Incoming> self) {
  auto result = co_await self->link_.write_loop();
  if (!result) self->end(result.error());
}

awaitable<void> Incoming::answer(std::shared_ptr<Incoming> self, std::uint64_t call, Request request, Place) {
  if (!self->handler_) {
    self->reply(call, error_reply({Errc::busy, "this node is starting"}));
    co_return;
  }
  auto answer = co_await self->handler_(std::move(request));
  self->reply(call, std::move(answer));
}

void Incoming::reply(std::uint64_t call, Reply reply) {
  auto sent = link_.send(call, reply.header, std::move(reply.payload));
  if (sent || link_.closed()) return;
  auto refusal = error_reply(sent.error());
  if (!link_.send(call, refusal.header, {})) end(sent.error());
}

bool Incoming::full() const {
  return requests_ >= kRequestsPerConnectionMax || bytes_ + link_.queued_bytes() > kBytesPerConnectionMax;
}

void Incoming::end(const Error& why) {
  if (link_.closed()) return;
  log_ending(why);
  link_.close();
}

}  // namespace chordfs
