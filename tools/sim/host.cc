#include "tools/sim/host.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "proto/base/check.h"
#include "tools/sim/incarnation.h"
#include "tools/sim/world.h"

namespace chordfs {

namespace {
constexpr std::uint16_t kPortDefault = 4100;

Endpoint endpoint_of(std::uint32_t index) {
  const std::uint32_t number = index + 1;
  return {fmt::format("10.{}.{}.{}", number / 62500, number / 250 % 250, number % 250), kPortDefault};
}
}  // namespace

SimHost::SimHost(World& world, std::uint32_t index, HostOptions options)
    : world_(world),
      index_(index),
      endpoint_(options.endpoint ? *options.endpoint : endpoint_of(index)),
      factory_(std::move(options.program)) {
  auto rng = Rng::derived(world.seed(), "clock", index);
  clock_.rate = static_cast<std::int64_t>(options.clock_rate * static_cast<double>(SimClock::kRateOne));
  clock_.offset = rng.between(1h, 10000h);
  CHECK(clock_.rate > 0);
}

SimHost::~SimHost() {
  CHECK(current_ == nullptr, "host {} outlives its world", index_);
}

void SimHost::start() {
  CHECK(!alive(), "host {} runs already", index_);
  CHECK(factory_ != nullptr, "host {} has no program", index_);
  powered_ = true;
  ++incarnation_;
  const auto life = std::uint64_t{index_} << 32 | incarnation_;
  current_ =
      std::make_unique<Incarnation>(world_, *this, clock_, Rng::derived(world_.seed(), "host", life), incarnation_);
  world_.record(Trace::What::start, index_);
  current_->program = factory_(current_->runtime, current_->transport);
  current_->tasks.spawn("run", current_->program->run());
}

void SimHost::die(Death death) {
  if (death == Death::machine) powered_ = false;
  if (!alive()) return;
  world_.record(death == Death::process ? Trace::What::crash : Trace::What::power_off, index_);
  auto& dying = *world_.graveyard_.emplace_back(std::move(current_));
  paused_ = false;
  for (auto slot : std::exchange(held_, {})) {
    if (world_.events_.owner(slot).runtime != nullptr)
      dying.runtime.keep_aside(world_.now(), slot);
    else
      world_.events_.put_back(slot, world_.now());  // A message in a socket that nobody read: it finds nobody.
  }
  dying.runtime.die();
  dying.transport.close(death);
  for (const auto& callback : on_death_) callback(death);
  dying.tasks.stop();
  world_.burials_.spawn("bury", bury(&dying));
  died_.notify_all();
}

awaitable<void> SimHost::bury(Incarnation* incarnation) {
  // Behind everything that is ready now: run() has begun and the cancelled have been told before stop() is called.
  co_await asio::post(world_.executor(), asio::use_awaitable);
  co_await stop_program(incarnation);
  co_await incarnation->tasks.join();
  incarnation->runtime.drop_timers();
  incarnation->program.reset();
  incarnation->buried = true;
  world_.record(Trace::What::buried, index_);
}

awaitable<void> SimHost::stop_program(Incarnation* incarnation) {
  if (incarnation->stop == Incarnation::Stop::not_called) {
    incarnation->stop = Incarnation::Stop::running;
    co_await incarnation->program->stop();
    incarnation->stop = Incarnation::Stop::done;
    incarnation->stopped.notify_all();
  }
  while (incarnation->stop != Incarnation::Stop::done) co_await incarnation->stopped.wait();
}

awaitable<void> SimHost::stop() {
  const auto stopping = incarnation_;
  // The caller may be cancelled; the stopping then goes on without it.
  if (alive()) world_.burials_.spawn("stop", stop_and_die(current_.get()));
  while (alive() && incarnation_ == stopping) co_await died_.wait();
}

awaitable<void> SimHost::stop_and_die(Incarnation* incarnation) {
  co_await stop_program(incarnation);
  if (current_.get() == incarnation) die(Death::process);
}

void SimHost::pause() {
  if (!alive() || paused_) return;
  paused_ = true;
  world_.record(Trace::What::pause, index_);
}

void SimHost::resume() {
  if (!paused_) return;
  paused_ = false;
  world_.record(Trace::What::resume, index_);
  for (auto slot : std::exchange(held_, {})) world_.events_.put_back(slot, world_.now());
}

Runtime& SimHost::runtime() {
  CHECK(alive(), "host {} is down", index_);
  return current_->runtime;
}

Transport& SimHost::transport() {
  CHECK(alive(), "host {} is down", index_);
  return current_->transport;
}

Program& SimHost::program() {
  CHECK(alive(), "host {} is down", index_);
  return *current_->program;
}

SimTransport* SimHost::listening_transport() {
  return alive() && current_->transport.listening() ? &current_->transport : nullptr;
}

SimTransport* SimHost::transport_of(std::uint64_t incarnation) {
  return alive() && incarnation_ == incarnation ? &current_->transport : nullptr;
}

}  // namespace chordfs
