#include "tools/sim/host.h"

#include <gtest/gtest.h>

#include <boost/asio/this_coro.hpp>

#include "tests/tools/sim/ping.h"

namespace chordfs {

namespace {
/// A program made of functions.
struct ScriptedProgram : Program {
  std::function<awaitable<void>()> on_run = {}, on_stop = {};
  std::function<void()> on_destroy = {};
  ~ScriptedProgram() override {
    if (on_destroy) on_destroy();
  }
  awaitable<void> run() override {
    if (on_run) co_await on_run();
  }
  awaitable<void> stop() override {
    if (on_stop) co_await on_stop();
  }
};

SimHost& add_host(World& world, std::function<void(ScriptedProgram&, Runtime&, Transport&)> script) {
  return world.add_host({.program = [script](Runtime& runtime, Transport& transport) {
    auto program = std::make_unique<ScriptedProgram>();
    script(*program, runtime, transport);
    return program;
  }});
}
}  // namespace

TEST(SimHost, CrashEndsEverythingBeforeTheNextEvent) {
  std::string seen;
  World world(1);
  auto& host = add_host(world, [&](ScriptedProgram& program, Runtime& runtime, Transport&) {
    program.on_run = [&]() -> awaitable<void> {
      runtime.schedule(runtime.now() + 2s, [&] { seen += "timer "; });
      struct Guard {
        std::string& seen;
        ~Guard() { seen += "unwound "; }
      } guard{seen};
      co_await runtime.sleep(3s);
      seen += "slept ";
    };
    program.on_stop = [&]() -> awaitable<void> {
      seen += "stop ";
      co_return;
    };
    program.on_destroy = [&] { seen += "destroyed "; };
  });
  host.start();
  world.after(1s, [&] { host.crash(); });
  world.after(1s, [&] { seen += "next"; });
  world.run_for(10s);
  EXPECT_EQ(seen, "unwound stop destroyed next");
  EXPECT_FALSE(host.alive());
}

TEST(SimHost, CallsOfTheDeadAreCancelled) {
  PingScore score;
  Errc before = Errc::ok, after = Errc::ok;
  World world(1);
  auto& server = add_ping_host(world, score);
  server.start();
  auto& host = add_host(world, [&](ScriptedProgram& program, Runtime&, Transport& transport) {
    program.on_run = [&]() -> awaitable<void> {
      co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
      before = (co_await transport.call(server.endpoint(), ping_request(), 1s)).code();
      after = (co_await transport.call(server.endpoint(), ping_request(), 1s)).code();
    };
  });
  host.start();
  world.after(1us, [&] { host.crash(); });
  world.run_for(1s);
  EXPECT_EQ(before, Errc::cancelled);
  EXPECT_EQ(after, Errc::cancelled);
  EXPECT_EQ(score.served, 1u) << "the first was under way already";
}

TEST(SimHost, WaitsThatCannotBeCancelledEndInTheAfterlife) {
  int rounds = 0;
  Duration lasted{};
  World world(1);
  auto& host = add_host(world, [&](ScriptedProgram& program, Runtime& runtime, Transport&) {
    program.on_run = [&]() -> awaitable<void> {
      co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
      const auto begin = runtime.now();
      for (; rounds < 10; ++rounds) co_await runtime.sleep(1s);
      lasted = runtime.now() - begin;
    };
  });
  host.start();
  world.after(2500ms, [&] { host.crash(); });
  world.after(2500ms, [&] { EXPECT_EQ(rounds, 10) << "buried before the next event"; });
  world.run_for(3s);
  EXPECT_EQ(lasted, 10s);
}

TEST(SimHost, StopIsCalledOnceEvenIfTheHostCrashesMeanwhile) {
  int stops = 0;
  World world(1);
  auto& host = add_host(world, [&](ScriptedProgram& program, Runtime& runtime, Transport&) {
    program.on_stop = [&]() -> awaitable<void> {
      ++stops;
      co_await runtime.sleep(5s);
    };
  });
  host.start();
  world.after(1s, [&] { world.spawn("stop", host.stop()); });
  world.after(2s, [&] {
    EXPECT_TRUE(host.alive());
    host.crash();
  });
  world.after(2s, [&] { EXPECT_EQ(stops, 1); });
  world.run_for(3s);
}

TEST(SimHost, GracefulStopKeepsDoorsOpen) {
  PingScore score;
  Errc farewell = Errc::busy;
  World world(1);
  auto& server = add_ping_host(world, score);
  server.start();
  auto& host = add_host(world, [&](ScriptedProgram& program, Runtime&, Transport& transport) {
    program.on_stop = [&]() -> awaitable<void> {
      farewell = (co_await transport.call(server.endpoint(), ping_request(), 1s)).code();
    };
  });
  host.start();
  world.run(host.stop());
  EXPECT_EQ(farewell, Errc::ok);
  EXPECT_FALSE(host.alive());
}

TEST(SimHost, RestartsInTheSameMoment) {
  PingScore score;
  World world(1);
  auto& client = add_idle_host(world);
  auto& server = add_ping_host(world, score);
  server.start();
  world.after(1s, [&] {
    server.crash();
    server.start();
  });
  world.run_for(2s);
  EXPECT_EQ(server.incarnation(), 2u);
  EXPECT_EQ(score.destroyed, 1u);
  EXPECT_TRUE(world.run(client.transport().call(server.endpoint(), ping_request(), 1s)));
}

TEST(SimHost, CrashInTheMomentOfItsStart) {
  PingScore score;
  World world(1);
  auto& server = add_ping_host(world, score, {.pause = 1ms, .peers = {{"10.0.0.1", 4100}}});
  server.start();
  server.crash();
  world.run_for(1s);
  EXPECT_EQ(score.destroyed, 1u);
  EXPECT_EQ(score.stopped, 1u);
}

TEST(SimHost, ProgramMayCrashItsOwnHost) {
  SimHost* self = nullptr;
  bool went_on = false;
  World world(1);
  auto& host = add_host(world, [&](ScriptedProgram& program, Runtime& runtime, Transport&) {
    program.on_run = [&]() -> awaitable<void> {
      co_await runtime.sleep(1s);
      self->crash();
      co_await runtime.sleep(1s);
      went_on = true;
    };
  });
  self = &host;
  host.start();
  world.run_for(5s);
  EXPECT_FALSE(host.alive());
  EXPECT_FALSE(went_on);
}

TEST(SimHost, DeathIsToldAtOnce) {
  std::string seen;
  World world(1);
  auto& host = add_host(world, [&](ScriptedProgram& program, Runtime&, Transport&) {
    program.on_destroy = [&] { seen += "destroyed "; };
  });
  host.on_death([&](SimHost::Death death) { seen += death == SimHost::Death::machine ? "power " : "process "; });
  host.start();
  host.crash();
  EXPECT_EQ(seen, "process ");
  world.run_for(1s);
  host.start();
  host.power_off();
  world.run_for(1s);
  EXPECT_EQ(seen, "process destroyed power destroyed ");
}

TEST(SimHost, PausedHostDoesEverythingLateAndInOrder) {
  std::string seen;
  World world(1);
  auto& client = add_idle_host(world);
  auto& host = add_host(world, [&](ScriptedProgram& program, Runtime& runtime, Transport& transport) {
    transport.serve([&](Request) -> awaitable<Reply> {
      seen += 'm';
      co_return Reply{};
    });
    program.on_run = [&]() -> awaitable<void> {
      runtime.schedule(runtime.now() + 2s, [&] { seen += 'a'; });
      runtime.schedule(runtime.now() + 4s, [&] { seen += 'c'; });
      auto dropped = runtime.schedule(runtime.now() + 4s, [&] { seen += 'x'; });
      runtime.schedule(runtime.now() + 2s, [&runtime, dropped] { runtime.cancel(dropped); });
      runtime.schedule(runtime.now() + 9s, [&] { seen += 'e'; });
      co_return;
    };
  });
  host.start();
  world.after(1s, [&] { host.pause(); });
  world.after(3s, [&] {
    world.spawn("call", [](SimHost& from, Endpoint to) -> awaitable<void> {
      EXPECT_TRUE(co_await from.transport().call(to, ping_request(), 10s));
    }(client, host.endpoint()));
  });
  world.after(8s, [&] {
    EXPECT_EQ(seen, "");
    host.resume();
  });
  world.run_for(20s);
  EXPECT_EQ(seen, "amce");
}

TEST(SimHost, CallToPausedHostTimesOut) {
  PingScore score;
  World world(1);
  auto& client = add_idle_host(world);
  auto& server = add_ping_host(world, score);
  server.start();
  server.pause();
  EXPECT_EQ(world.run(client.transport().call(server.endpoint(), ping_request(), 1s)).code(), Errc::timed_out);
  EXPECT_EQ(score.served, 0u);
  server.resume();
  world.run_for(1s);
  EXPECT_EQ(score.served, 1u) << "the request waited in the socket";
}

TEST(SimHost, CrashWhilePausedRefusesWhatWaited) {
  PingScore score;
  World world(1);
  auto& client = add_idle_host(world);
  auto& server = add_ping_host(world, score);
  server.start();
  server.pause();
  world.after(500ms, [&] { server.crash(); });
  EXPECT_EQ(world.run(client.transport().call(server.endpoint(), ping_request(), 1s)).code(), Errc::unreachable);
  server.start();
  EXPECT_FALSE(server.paused());
  EXPECT_EQ(world.run(client.transport().call(server.endpoint(), ping_request(), 1s)).code(), Errc::ok);
}

TEST(SimHost, WorldEndsInTheMiddleOfEverything) {
  PingScore score;
  {
    World world(1);
    std::vector<Endpoint> peers;
    for (int i = 0; i < 5; ++i) peers.push_back({"10.0.0." + std::to_string(i + 1), 4100});
    for (int i = 0; i < 5; ++i) add_ping_host(world, score, {.pause = 3ms, .service = 5ms, .peers = peers}).start();
    world.spawn("forever", world.runtime().sleep(1h));
    world.run_for(1s);
    world.host(2).pause();
    world.run_for(1s);
  }
  EXPECT_EQ(score.destroyed, 5u);
  EXPECT_EQ(score.stopped, 5u);
}

}  // namespace chordfs
