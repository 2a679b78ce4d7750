#include "tests/tools/sim/ping.h"

namespace chordfs {

PingProgram::PingProgram(Runtime& runtime, Transport& transport, PingScore& score, PingOptions options)
    : runtime_(runtime), transport_(transport), score_(score), options_(std::move(options)), tasks_(runtime) {
  transport_.serve([this](Request request) { return serve(std::move(request)); });
}

awaitable<void> PingProgram::run() {
  if (options_.pause > Duration{}) tasks_.spawn("pings", send_pings());
  co_return;
}

awaitable<void> PingProgram::stop() {
  ++score_.stopped;
  tasks_.stop();
  co_await tasks_.join();
}

awaitable<Reply> PingProgram::serve(Request request) {
  if (options_.service > Duration{}) co_await runtime_.sleep(options_.service);
  ++score_.served;
  Reply reply;
  reply.header.mutable_ping();
  reply.payload = request.payload;
  co_return reply;
}

awaitable<void> PingProgram::send_pings() {
  for (;;) {
    co_await runtime_.sleep(runtime_.jitter(options_.pause));
    const auto peer = options_.peers[runtime_.below(options_.peers.size())];
    const auto reply = co_await transport_.call(peer, ping_request(), options_.timeout);
    ++(reply ? score_.answered : score_.failed);
    score_.saw(static_cast<std::uint64_t>(runtime_.now().time_since_epoch().count()));
  }
}

Request ping_request() {
  Request request;
  request.header.mutable_ping();
  return request;
}

SimHost& add_ping_host(World& world, PingScore& score, PingOptions options) {
  return world.add_host({.program = [&score, options](Runtime& runtime, Transport& transport) {
    return std::make_unique<PingProgram>(runtime, transport, score, options);
  }});
}

SimHost& add_idle_host(World& world) {
  auto& host = world.add_host({.program = [](Runtime&, Transport&) { return std::make_unique<Program>(); }});
  host.start();
  return host;
}

}  // namespace chordfs
