#include "tools/sim/network.h"

#include <gtest/gtest.h>

#include "tests/tools/sim/ping.h"

namespace chordfs {

namespace {
struct Network : testing::Test {
  Network() { server.start(); }
  /// One ping from the client; the reply's code.
  Errc ping(Duration timeout = 1s) { return ping_to(server.endpoint(), timeout); }
  Errc ping_to(const Endpoint& to, Duration timeout = 1s) {
    return world.run(client.transport().call(to, ping_request(), timeout)).code();
  }

  PingScore score;
  World world{1};
  SimHost& client = add_idle_host(world);
  SimHost& server = add_ping_host(world, score, {.service = 10ms});
};
}  // namespace

TEST_F(Network, CallCarriesHeaderAndPayload) {
  auto request = ping_request();
  request.payload = Bytes::copy("payload");
  const auto reply = world.run(client.transport().call(server.endpoint(), request, 1s));
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->header.has_ping());
  EXPECT_EQ(reply->payload.view(), "payload");
  EXPECT_EQ(reply->payload.data(), request.payload.data()) << "payloads are shared";
  EXPECT_GE(world.elapsed(), 10ms + 2 * world.network().options().delay_min);
}

TEST_F(Network, DelaysKeepToTheirDistribution) {
  auto& options = world.network().options();
  options = {.delay_min = 1ms, .delay_mean = 3ms, .delay_max = 10ms};
  Duration sum{}, longest{};
  constexpr int kCalls = 2000;
  for (int i = 0; i < kCalls; ++i) {
    const auto begin = world.now();
    ASSERT_EQ(ping(), Errc::ok);
    const Duration took = world.now() - begin - 10ms;
    EXPECT_GE(took, 2ms);
    longest = std::max(longest, took);
    sum += took;
  }
  EXPECT_LE(longest, 20ms);
  EXPECT_NEAR(static_cast<double>((sum / kCalls).count()), 6e6, 3e5);
}

TEST_F(Network, LatencyOfAPairIsAdded) {
  world.network().options().latency = [this](const SimHost& from, const SimHost&) {
    return &from == &client ? Duration(50ms) : Duration(70ms);
  };
  EXPECT_EQ(ping(), Errc::ok);
  EXPECT_GE(world.elapsed(), 130ms);
}

TEST_F(Network, DeadProcessRefuses) {
  server.crash();
  EXPECT_EQ(ping(), Errc::unreachable);
  EXPECT_LT(world.elapsed(), 100ms);
}

TEST_F(Network, DeathIsToldToWhomEverCalled) {
  std::vector<Endpoint> dead;
  client.transport().on_death([&dead](const Endpoint& at) { dead.push_back(at); });
  EXPECT_EQ(ping(), Errc::ok);
  server.crash();
  world.run_for(100ms);
  EXPECT_EQ(dead, std::vector{server.endpoint()});
}

TEST_F(Network, WhoIsSilentIsNotToldToBeDead) {
  int dead = 0;
  client.transport().on_death([&dead](const Endpoint&) { ++dead; });
  EXPECT_EQ(ping(), Errc::ok);
  server.pause();
  EXPECT_EQ(ping(), Errc::timed_out);
  world.network().cut_both(server, client);
  server.resume();
  server.crash();
  EXPECT_EQ(ping(), Errc::timed_out);
  world.network().heal();
  server.power_off();
  EXPECT_EQ(ping(), Errc::timed_out);
  EXPECT_EQ(dead, 0);
}

TEST_F(Network, HostThatDoesNotListenRefuses) {
  EXPECT_EQ(ping_to(add_idle_host(world).endpoint()), Errc::unreachable);
}

TEST_F(Network, UnknownEndpointIsUnreachable) {
  EXPECT_EQ(ping_to({"10.9.9.9", 1}), Errc::unreachable);
}

TEST_F(Network, MachineWithoutPowerIsSilent) {
  server.power_off();
  EXPECT_EQ(ping(), Errc::timed_out);
  EXPECT_EQ(world.elapsed() / 1s, 1);
}

TEST_F(Network, CrashMidCallResets) {
  world.after(5ms, [this] { server.crash(); });
  EXPECT_EQ(ping(), Errc::timed_out);
  EXPECT_LT(world.elapsed(), 100ms);
  EXPECT_EQ(score.served, 0u);
  EXPECT_EQ(score.destroyed, 1u);
}

TEST_F(Network, DeathOfTheCallerCancelsItsCalls) {
  world.after(5ms, [this] { client.crash(); });
  EXPECT_EQ(ping(), Errc::cancelled);
  world.run_for(1s);
  EXPECT_EQ(score.served, 1u) << "the server does not notice";
}

TEST_F(Network, CrashMidCallBehindACutIsNoticedOnlyByTheClock) {
  world.after(5ms, [this] {
    world.network().cut(server, client);
    server.crash();
  });
  EXPECT_EQ(ping(), Errc::timed_out);
  EXPECT_EQ(world.elapsed() / 1s, 1);
}

TEST_F(Network, GracefulStopMidCallResets) {
  world.after(5ms, [this] { world.spawn("stop", server.stop()); });
  EXPECT_EQ(ping(), Errc::timed_out);
  EXPECT_LT(world.elapsed(), 100ms);
}

TEST_F(Network, CutIsOneWay) {
  world.network().cut(server, client);
  EXPECT_EQ(ping(), Errc::timed_out);
  EXPECT_EQ(score.served, 1u) << "the request arrived, the reply did not";
  world.network().mend(server, client);
  EXPECT_EQ(ping(), Errc::ok);
  world.network().cut(client, server);
  EXPECT_EQ(ping(), Errc::timed_out);
  EXPECT_EQ(score.served, 2u);
}

TEST_F(Network, CutTakesWhatIsUnderWay) {
  world.network().options() = {.delay_min = 10ms, .delay_mean = 10ms};
  world.after(5ms, [this] { world.network().cut(client, server); });
  EXPECT_EQ(ping(), Errc::timed_out);
  EXPECT_EQ(score.served, 0u);
}

TEST_F(Network, PartitionSeparatesGroups) {
  auto& third = add_idle_host(world);
  world.network().partition({{&client, &third}});
  EXPECT_EQ(ping(), Errc::timed_out);
  EXPECT_TRUE(world.network().connected(client, third));
  auto& later = add_idle_host(world);
  EXPECT_TRUE(world.network().connected(later, server)) << "both are of the rest";
  EXPECT_FALSE(world.network().connected(later, client));
  world.network().heal();
  EXPECT_EQ(ping(), Errc::ok);
}

TEST_F(Network, LossIsACallThatNeverCompletes) {
  world.network().options().loss = 0.25;
  int lost = 0;
  for (int i = 0; i < 400; ++i) lost += ping(200ms) == Errc::timed_out;
  EXPECT_NEAR(lost, 400 * (1 - 0.75 * 0.75), 50);
  EXPECT_EQ(world.network().counters().lost, static_cast<std::uint64_t>(lost));
  EXPECT_GT(score.served, 400u - static_cast<std::uint64_t>(lost)) << "some requests were executed, their replies lost";
}

TEST_F(Network, DuplicateIsExecutedTwiceAndAnsweredOnce) {
  world.network().options().duplication = 1;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ping(), Errc::ok);
  world.run_for(1s);
  EXPECT_EQ(score.served, 20u);
}

TEST_F(Network, RequestMayArriveAfterItsCallerGaveUp) {
  world.network().options() = {.delay_min = 300ms, .delay_mean = 300ms, .delay_max = 300ms};
  EXPECT_EQ(ping(100ms), Errc::timed_out);
  EXPECT_EQ(score.served, 0u);
  world.run_for(1s);
  EXPECT_EQ(score.served, 1u);
}

TEST_F(Network, SpikesMakeMessagesLate) {
  auto& options = world.network().options();
  options.spike = 1;
  options.spike_max = 10s;
  EXPECT_EQ(ping(1min), Errc::ok);
  EXPECT_GT(world.elapsed(), 100ms);
}

TEST_F(Network, MessageOverTheCapIsRefusedLocally) {
  auto request = ping_request();
  const std::string big(6 << 20, 'x');
  request.payload = Bytes::copy(big);
  EXPECT_EQ(world.run(client.transport().call(server.endpoint(), request, 1s)).code(), Errc::bad_message);
  EXPECT_EQ(score.served, 0u);
}

TEST_F(Network, HostMayCallItself) {
  EXPECT_EQ(world.run(server.transport().call(server.endpoint(), ping_request(), 1s)).code(), Errc::ok);
}

TEST_F(Network, CountsMessagesByKindAndByHost) {
  for (int i = 0; i < 5; ++i) ping();
  const auto& counters = world.network().counters();
  EXPECT_EQ(counters.requests.messages, 5u);
  EXPECT_EQ(counters.replies.messages, 5u);
  EXPECT_EQ(counters.request_kinds[wire::Request::kPing].messages, 5u);
  EXPECT_EQ(client.traffic().sent, 5u);
  EXPECT_EQ(server.traffic().received, 5u);
  EXPECT_GT(counters.requests.bytes, 0u);
}

}  // namespace chordfs
