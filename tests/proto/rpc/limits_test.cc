// Peers that take too much: of time, of memory, of connections, of the log. Small limits, and a clock that the test
// moves; the peers are real sockets.
#include <sys/resource.h>
#include <unistd.h>

#include <list>

#include "tests/proto/rpc/captured_log.h"
#include "tests/proto/rpc/loopback_test.h"
#include "tests/proto/rpc/manual_runtime.h"
#include "tests/proto/rpc/raw_peer.h"

namespace chordfs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A server with limits of the test's own, beside the fixture's client.
class Limited {
 public:
  Limited(LoopbackTest& test, IncomingLimits limits)
      : test_(test), clock_(test.io_), server_(clock_, "limited", limits) {
    server_.serve([this](Request request) { return handle(std::move(request)); });
    EXPECT_TRUE(server_.listen("127.0.0.1", 0));
  }
  ~Limited() {
    test_.release();
    test_.run(server_.stop());
  }

  awaitable<Reply> handle(Request request) {
    if (request.header.ring() == "another") co_return error_reply({Errc::wrong_ring, "another ring"});
    co_return co_await test_.handle(std::move(request));
  }

  Endpoint endpoint() const { return {"127.0.0.1", server_.port()}; }
  awaitable<RawPeer> connect() { co_return co_await RawPeer::connect(test_.runtime_, server_.port()); }
  /// One that has sent `bytes` and is read from until it is closed.
  awaitable<void> add(std::string bytes) {
    auto& peer = *peers_.emplace_back(std::make_unique<Peer>(co_await connect()));
    test_.tasks_.spawn("peer", watch(peer));
    co_await peer.raw.send(std::move(bytes));
  }
  awaitable<void> send(std::size_t which, std::string bytes) { co_await peers_[which]->raw.send(std::move(bytes)); }
  bool closed(std::size_t which) const { return peers_[which]->closed; }
  int frames(std::size_t which) const { return peers_[which]->frames; }
  std::size_t closed_peers() const {
    return static_cast<std::size_t>(std::ranges::count_if(peers_, [](const auto& peer) { return peer->closed; }));
  }

  /// Lets time pass, with turns for everybody, until `done`.
  template <class Done>
  awaitable<void> advance_until(Done done, Duration step = 1s) {
    while (!done()) {
      clock_.advance(step);
      for (int turn = 0; turn < 20; ++turn) co_await asio::post(asio::use_awaitable);
    }
  }
  /// That somebody with manners is served.
  awaitable<void> expect_served() {
    auto reply = co_await test_.client_.call(endpoint(), LoopbackTest::ping(), 60s);
    EXPECT_TRUE(reply) << (reply ? "" : reply.error().text());
  }

  CapturedLog log_;

 private:
  struct Peer {
    explicit Peer(RawPeer r) : raw(std::move(r)) {}
    RawPeer raw;
    int frames = 0;
    bool closed = false;
  };
  static awaitable<void> watch(Peer& peer) {
    while (co_await peer.raw.receive()) ++peer.frames;
    peer.closed = true;
  }

  LoopbackTest& test_;
  ManualRuntime clock_;
  TcpTransport server_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

class LimitsTest : public LoopbackTest {
 public:
  void run_with(IncomingLimits limits, awaitable<void> (*scenario)(LimitsTest*, Limited*)) {
    Limited limited(*this, limits);
    run(scenario(this, &limited));
  }
};

/// The beginning of a frame whose payload is to have so many bytes.
std::string put_bytes(std::uint32_t payload_bytes) {
  std::string out;
  wire::Request request;
  request.mutable_put_block();
  EXPECT_TRUE(append_frame(out, 1, request, payload_bytes));
  return out;
}

// ---- Time

TEST_F(LimitsTest, OneByteASecondIsCut) {
  run_with({}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    co_await l->add(hello_bytes() + put_bytes(kBlockBytesMax));
    co_await t->until([l] { return l->frames(0) == 1; });
    while (!l->closed(0)) {
      co_await l->send(0, "x");
      co_await l->advance_until([once = false]() mutable { return std::exchange(once, true); });
    }
    EXPECT_THAT(l->log_.text(), HasSubstr("bytes of a frame in "));
    EXPECT_THAT(l->log_.text(), HasSubstr("and not the rest"));
    co_await l->expect_served();
  });
}

TEST_F(LimitsTest, FrameOfWhichNothingComesIsCut) {
  run_with({}, [](LimitsTest*, Limited* l) -> awaitable<void> {
    co_await l->add(hello_bytes() + put_bytes(kBlockBytesMax));
    co_await l->advance_until([l] { return l->closed(0); });
    EXPECT_EQ(l->log_.count("and not the rest"), 1);
  });
}

TEST(FrameProgress, SlowButSteadyIsGoodEnough) {
  const IncomingLimits limits{.frame_patience = 10s, .frame_rate_min = 100};
  FrameProgress progress;
  for (int second = 0; second < 10'000; ++second) {
    progress.came(100);
    EXPECT_FALSE(progress.too_slow(1s, limits));
  }
}

TEST(FrameProgress, PatienceComesFirst) {
  const IncomingLimits limits{.frame_patience = 10s, .frame_rate_min = 100};
  FrameProgress progress;
  for (int second = 1; second < 10; ++second) EXPECT_FALSE(progress.too_slow(1s, limits));
  EXPECT_TRUE(progress.too_slow(1s, limits));
}

TEST(FrameProgress, WhoSentMostAtOnceMayNotKeepTheRestBack) {
  const IncomingLimits limits{.frame_patience = 10s, .frame_rate_min = 100};
  FrameProgress progress;
  progress.came(4U << 20);
  EXPECT_FALSE(progress.too_slow(10s, limits));
  EXPECT_TRUE(progress.too_slow(10s, limits));
}

TEST(FrameProgress, OneByteLessThanTheRateIsTooSlow) {
  const IncomingLimits limits{.frame_patience = 10s, .frame_rate_min = 100};
  FrameProgress progress;
  progress.came(999);
  EXPECT_TRUE(progress.too_slow(10s, limits));
}

TEST_F(LimitsTest, IdleBetweenFramesIsNoFault) {
  run_with({}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    co_await l->add(hello_bytes() + ping_bytes(1));
    co_await t->until([l] { return l->frames(0) == 2; });
    co_await l->advance_until([seconds = 0]() mutable { return ++seconds > 100; });
    co_await l->send(0, ping_bytes(2));
    co_await t->until([l] { return l->frames(0) == 3; });
  });
}

TEST_F(LimitsTest, HelloOneByteAtATimeIsCut) {
  run_with({}, [](LimitsTest*, Limited* l) -> awaitable<void> {
    const auto hello = hello_bytes();
    co_await l->add(hello.substr(0, 1));
    for (std::size_t i = 1; i + 1 < hello.size() && !l->closed(0); ++i) {
      co_await l->send(0, hello.substr(i, 1));
      co_await l->advance_until([once = false]() mutable { return std::exchange(once, true); });
    }
    co_await l->advance_until([l] { return l->closed(0); });
    EXPECT_EQ(l->log_.count("sent no Hello in time"), 1);
  });
}

// ---- Connections

TEST_F(LimitsTest, SilentCrowdMakesRoomForWhoAsks) {
  run_with({.connections = 50}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    co_await l->expect_served();
    for (int i = 0; i < 300; ++i) co_await l->add("");
    // The client's own connection counts, and is not closed: it has asked something.
    co_await t->until([l] { return l->closed_peers() >= 300 - 49; });
    EXPECT_EQ(l->closed_peers(), 300U - 49);
    EXPECT_TRUE(l->closed(0)) << "the oldest go first";
    EXPECT_FALSE(l->closed(299));
    co_await l->expect_served();
    EXPECT_EQ(l->log_.count("has not asked anything yet"), 10) << l->log_.text();
  });
}

TEST_F(LimitsTest, CrowdThatOnlySaysHelloMakesRoomToo) {
  run_with({.connections = 20}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    for (int i = 0; i < 100; ++i) co_await l->add(hello_bytes());
    co_await t->until([l] { return l->closed_peers() >= 80; });
    co_await l->expect_served();
    co_await t->until([l] { return l->closed_peers() == 81; });
  });
}

TEST_F(LimitsTest, IdleForLongestMakesRoomWhenNobodyIsAStranger) {
  run_with({.connections = 3}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    for (std::size_t i = 0; i < 3; ++i) {
      co_await l->add(hello_bytes() + ping_bytes(1));
      co_await t->until([l, i] { return l->frames(i) == 2; });
      co_await l->advance_until([once = false]() mutable { return std::exchange(once, true); });
    }
    co_await l->send(0, ping_bytes(2));
    co_await t->until([l] { return l->frames(0) == 3; });
    co_await l->expect_served();
    co_await t->until([l] { return l->closed_peers() > 0; });
    EXPECT_TRUE(l->closed(1));
    EXPECT_EQ(l->closed_peers(), 1U);
    EXPECT_EQ(l->log_.count("is idle"), 1);
  });
}

TEST_F(LimitsTest, NewcomerIsRefusedWhereAllAreAtWork) {
  run_with({.connections = 2}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    wire::Request request;
    request.mutable_neighbours();
    std::string unanswered = hello_bytes();
    EXPECT_TRUE(append_frame(unanswered, 1, request, 0));
    for (int i = 0; i < 2; ++i) co_await l->add(unanswered);
    co_await t->until([t] { return t->waiting_ == 2; });
    co_await l->add(hello_bytes());
    co_await t->until([l] { return l->closed(2); });
    EXPECT_EQ(l->closed_peers(), 1U);
    EXPECT_EQ(l->log_.count("refused a connection from 127.0.0.1:"), 1);
  });
}

TEST_F(LimitsTest, NoDescriptorIsLeft) {
  run_with({}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    asio::ip::tcp::socket socket(t->runtime_.executor(), asio::ip::tcp::v4());
    rlimit before{};
    CO_ASSERT(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = dup(0);
    CO_ASSERT(next >= 0 && close(next) == 0);
    auto none = before;
    none.rlim_cur = static_cast<rlim_t>(next);
    CO_ASSERT(setrlimit(RLIMIT_NOFILE, &none) == 0);
    co_await socket.async_connect({asio::ip::address_v4::loopback(), l->endpoint().port}, asio::use_awaitable);
    co_await t->until([l] { return l->log_.has("cannot accept connections"); });
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    OneShot<bool> greeted;
    t->tasks_.spawn("greeted", [](RawPeer peer, OneShot<bool> done) -> awaitable<void> {
      done.set((co_await peer.receive()).has_value());
    }(RawPeer(std::move(socket)), greeted));
    co_await l->advance_until([greeted] { return greeted.ready(); });
    EXPECT_TRUE(co_await greeted.wait()) << "it is accepted once there is a descriptor again";
  });
}

// ---- Memory

TEST_F(LimitsTest, GreediestOfTooManyHalfFramesIsCut) {
  run_with({.bytes_all = 2U << 20, .frame_patience = 1000h}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    constexpr std::size_t kSmallBytes = 20U << 10, kLargeBytes = 3U << 20;
    for (int i = 0; i < 5; ++i) co_await l->add(hello_bytes() + put_bytes(kSmallBytes) + std::string(100, 'x'));
    co_await l->add(hello_bytes() + put_bytes(kLargeBytes));
    t->tasks_.spawn("greedy", l->send(5, std::string(kLargeBytes - 1, 'x')));
    co_await l->advance_until([l] { return l->closed(5); });
    EXPECT_EQ(l->closed_peers(), 1U) << l->log_.text();
    EXPECT_EQ(l->log_.count("bytes, and 2097152 are allowed in all"), 1);
    // The others do not notice.
    for (std::size_t i = 0; i < 5; ++i) co_await l->send(i, std::string(kSmallBytes - 100, 'x'));
    for (std::size_t i = 0; i < 5; ++i) co_await t->until([l, i] { return l->frames(i) == 2; });
    co_await l->expect_served();
  });
}

TEST_F(LimitsTest, HeaderThatGrowsWhenParsedIsCountedAsParsed) {
  wire::Request request;
  for (int i = 0; i < 10'000; ++i) request.mutable_drop_block()->add_blocks();
  EXPECT_GT(request_bytes(request, request.ByteSizeLong(), 0), 10 * request.ByteSizeLong());
}

TEST_F(LimitsTest, ManyLargeHeadersWaitInTheSocket) {
  run_with({.bytes_each = 1U << 20}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    wire::Request request;
    request.mutable_neighbours();
    for (int i = 0; i < 1000; ++i) request.mutable_ring()->append(1000, 'r');
    std::string bytes = hello_bytes();
    for (std::uint64_t call = 1; call <= 10; ++call) EXPECT_TRUE(append_frame(bytes, call, request, 0));
    co_await l->add("");
    t->tasks_.spawn("greedy", l->send(0, std::move(bytes)));
    co_await t->until([t] { return t->waiting_ >= 2; });
    co_await l->expect_served();
    EXPECT_EQ(t->waiting_, 2) << "the first is below the limit, the second above";
    t->release();
    co_await t->until([l] { return l->frames(0) == 11; });
  });
}

// ---- The log

TEST_F(LimitsTest, ManyBadPeersAreAFewLines) {
  run_with({}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    for (int i = 0; i < 200; ++i) co_await l->add("GET / HTTP/1.1\r\n\r\n");
    co_await t->until([l] { return l->closed_peers() == 200; });
    EXPECT_EQ(l->log_.count("is not a ChordFS node"), 10);
    co_await l->advance_until([seconds = 0]() mutable { return ++seconds > 10; });
    co_await l->add("GET / HTTP/1.1\r\n\r\n");
    co_await t->until([l] { return l->closed(200); });
    EXPECT_EQ(l->log_.count("(190 more like this were not logged)"), 1);
  });
}

TEST_F(LimitsTest, FrameOverTheCapIsNamed) {
  run_with({}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    std::string bytes = hello_bytes();
    append_u32(bytes, kFrameHeaderBytesMax + 1);
    append_u32(bytes, 0);
    co_await l->add(bytes);
    co_await t->until([l] { return l->closed(0); });
    EXPECT_THAT(l->log_.text(), HasSubstr("frame header of 4194305 bytes; at most 4194304 are allowed"));
    EXPECT_THAT(l->log_.text(), HasSubstr("127.0.0.1:"));
  });
}

TEST_F(LimitsTest, WhatAPeerSaysIsMadePrintable) {
  run_with({}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    auto hello = hello_of("evil\x1b[2J\n" + std::string(3000, 'x'));
    hello.mutable_hello()->set_version_min(99);
    hello.mutable_hello()->set_version_max(99);
    std::string bytes;
    EXPECT_TRUE(append_frame(bytes, hello, 0));
    co_await l->add(bytes);
    co_await t->until([l] { return l->closed(0); });
    EXPECT_THAT(l->log_.text(), HasSubstr("(evil\\x1b[2J\\x0ax"));
    EXPECT_THAT(l->log_.text(), HasSubstr("speaks protocol versions 99 to 99, this side speaks"));
    EXPECT_LT(l->log_.text().size(), 400U);
  });
}

TEST_F(LimitsTest, StringThatIsNotUtf8PrintsNothingOfItsOwn) {
  run_with({}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    auto hello = hello_of("plain");
    std::string bytes;
    EXPECT_TRUE(append_frame(bytes, hello, 0));
    bytes.replace(bytes.find("plain"), 1, "\xff");
    ::testing::internal::CaptureStderr();
    co_await l->add(bytes);
    co_await t->until([l] { return l->closed(0); });
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
    EXPECT_EQ(l->log_.count("is not a message"), 1);
  });
}

TEST_F(LimitsTest, RequestOfAnotherRingIsNamed) {
  run_with({}, [](LimitsTest* t, Limited* l) -> awaitable<void> {
    wire::Request request;
    request.set_ring("another");
    request.mutable_ping();
    std::string bytes = hello_bytes();
    EXPECT_TRUE(append_frame(bytes, 1, request, 0));
    co_await l->add(bytes + ping_bytes(2));
    co_await t->until([l] { return l->frames(0) == 3; });
    EXPECT_EQ(l->log_.count("is of another ring"), 1);
  });
}

TEST(AnsweredReply, ContextOfAPeerIsMadePrintable) {
  auto reply = error_reply({Errc::invalid, "no\r\x1b[2Jway" + std::string(1U << 20, 'x')});
  const auto error = answered(std::move(reply)).error();
  EXPECT_THAT(error.context, HasSubstr("no\\x0d\\x1b[2Jway"));
  EXPECT_LT(error.context.size(), 2000U);
}

TEST(RaisedLimits, LeaveDescriptorsForTheDisk) {
  const auto limits = raised_limits();
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_GE(limits.connections, 1U);
  EXPECT_LE(limits.connections, std::max<rlim_t>(files.rlim_cur / 2, 1));
}

}  // namespace
}  // namespace chordfs
