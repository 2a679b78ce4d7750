// What peers that break the protocol, or do not keep up, may and may not achieve.
#include "tests/proto/rpc/loopback_test.h"
#include "tests/proto/rpc/manual_runtime.h"
#include "tests/proto/rpc/raw_peer.h"

namespace chordfs {
namespace {

using ::testing::HasSubstr;

class MisbehaviourTest : public LoopbackTest {
 public:
  using Self = MisbehaviourTest*;

  /// What a call to a server comes to that says `greeting` instead of its Hello; and, once it got the call, `answer`.
  awaitable<Result<Reply>> call_to_server_that_says(std::string greeting, Duration timeout, std::string answer = {}) {
    RawListener listener(runtime_);
    OneShot<Result<Reply>> result;
    tasks_.spawn("call", note({"127.0.0.1", listener.port()}, timeout, result));
    auto peer = co_await listener.accept();
    co_await peer.send(std::move(greeting));
    if (!answer.empty()) {
      for (auto frame = co_await peer.receive(); frame && !frame->header.has_request();)
        frame = co_await peer.receive();
      co_await peer.send(std::move(answer));
    }
    co_return co_await result.wait();
  }
  awaitable<void> note(Endpoint to, Duration timeout, OneShot<Result<Reply>> result) {
    result.set(co_await client_.call(std::move(to), ping(), timeout));
  }
  /// That the server closes a connection on which `bytes` come after its Hello, and that others do not notice.
  awaitable<void> expect_closed_after(std::string bytes) {
    EXPECT_TRUE(co_await client_.call(server(), ping(), 5s));
    auto peer = co_await RawPeer::connect(runtime_, server_.port());
    auto hello = co_await peer.receive();
    EXPECT_TRUE(hello && hello->header.has_hello());
    co_await peer.send(std::move(bytes));
    EXPECT_FALSE(co_await peer.receive());
    EXPECT_TRUE(co_await client_.call(server(), ping(), 5s));
  }
};

std::string hello_with(std::uint32_t magic, std::uint32_t version) {
  wire::Envelope envelope;
  envelope.mutable_hello()->set_magic(magic);
  envelope.mutable_hello()->set_version_min(version);
  envelope.mutable_hello()->set_version_max(version);
  std::string out;
  EXPECT_TRUE(append_frame(out, envelope, 0));
  return out;
}

// ---- Clients

TEST_F(MisbehaviourTest, GarbageInsteadOfAHello) {
  run(expect_closed_after("GET / HTTP/1.1\r\n\r\n"));
}

TEST_F(MisbehaviourTest, RequestInsteadOfAHello) {
  run(expect_closed_after(ping_bytes(1)));
}

TEST_F(MisbehaviourTest, ClientWithAnotherMagic) {
  run(expect_closed_after(hello_with(1, kProtocolVersion)));
}

TEST_F(MisbehaviourTest, ClientOfAnotherVersion) {
  run(expect_closed_after(hello_with(kMagic, 99)));
}

TEST_F(MisbehaviourTest, ReplyInsteadOfARequest) {
  run(expect_closed_after(hello_bytes() + pong_bytes(1)));
}

TEST_F(MisbehaviourTest, GarbageAfterTheHello) {
  run(expect_closed_after(hello_bytes() + std::string(64, '\xff')));
}

TEST_F(MisbehaviourTest, SilentStrangerIsClosedInTime) {
  ManualRuntime clock(io_);
  TcpTransport server(clock, "test-server");
  EXPECT_TRUE(server.listen("127.0.0.1", 0));
  run([](ManualRuntime* time, TcpTransport* to) -> awaitable<void> {
    auto peer = co_await RawPeer::connect(*time, to->port());
    CO_ASSERT((co_await peer.receive())->header.has_hello());
    time->advance(kHelloTimeMax);
    EXPECT_FALSE(co_await peer.receive());
    co_await to->stop();
  }(&clock, &server));
}

TEST_F(MisbehaviourTest, TooManyRequestsWaitInTheSocket) {
  run([](Self t) -> awaitable<void> {
    auto peer = co_await RawPeer::connect(t->runtime_, t->server_.port());
    std::string bytes = hello_bytes();
    constexpr int kMore = 500;
    wire::Request request;
    request.mutable_neighbours();
    for (std::uint64_t call = 1; call <= kRequestsPerConnectionMax + kMore; ++call)
      EXPECT_TRUE(append_frame(bytes, call, request, 0));
    co_await peer.send(std::move(bytes));
    co_await until([t] { return t->requests_ >= static_cast<int>(kRequestsPerConnectionMax); });
    EXPECT_TRUE(co_await t->client_.call(t->server(), ping(), 5s)) << "others are served meanwhile";
    EXPECT_EQ(t->requests_, static_cast<int>(kRequestsPerConnectionMax) + 1);
  }(this));
}

TEST_F(MisbehaviourTest, SlowReaderOfRepliesDoesNotEatMemory) {
  run([](Self t) -> awaitable<void> {
    auto peer = co_await RawPeer::connect(t->runtime_, t->server_.port());
    constexpr int kBlocks = 100;
    constexpr int kAtOnce = kBytesPerConnectionMax / kBlockBytesMax;
    // What the kernel buffers on both sides is taken for written.
    constexpr int kSlack = 8;
    std::string bytes = hello_bytes();
    for (int call = 1; call <= kBlocks; ++call) bytes += get_block_bytes(call, kBlockBytesMax);
    co_await peer.send(std::move(bytes));
    CO_ASSERT((co_await peer.receive())->header.has_hello());
    co_await until([t] { return t->requests_ >= kAtOnce; });
    for (int read = 0; read < kBlocks; ++read) {
      EXPECT_LE(t->requests_ - read, kAtOnce + kSlack);
      auto reply = co_await peer.receive();
      CO_ASSERT(reply);
      EXPECT_EQ(reply->payload.size(), kBlockBytesMax);
    }
    EXPECT_EQ(t->requests_, kBlocks);
  }(this));
}

TEST_F(MisbehaviourTest, ClientThatLeavesMidRequestHurtsNobody) {
  run([](Self t) -> awaitable<void> {
    auto peer = co_await RawPeer::connect(t->runtime_, t->server_.port());
    wire::Request request;
    request.mutable_neighbours();
    std::string bytes = hello_bytes();
    EXPECT_TRUE(append_frame(bytes, 1, request, 0));
    co_await peer.send(bytes + ping_bytes(2).substr(0, 5));
    co_await until([t] { return t->requests_ == 1; });
    peer.close();
    t->release();
    EXPECT_TRUE(co_await t->client_.call(t->server(), ping(), 5s));
  }(this));
}

// ---- Servers

TEST_F(MisbehaviourTest, ServerThatIsNoNode) {
  run([](Self t) -> awaitable<void> {
    auto reply = co_await t->call_to_server_that_says("HTTP/1.1 400 Bad Request\r\n\r\n", 5s);
    EXPECT_EQ(reply.code(), Errc::bad_message);
    EXPECT_THAT(reply.error().context, HasSubstr("is not a ChordFS node"));
  }(this));
}

TEST_F(MisbehaviourTest, ServerWithAnotherMagic) {
  run([](Self t) -> awaitable<void> {
    auto reply = co_await t->call_to_server_that_says(hello_with(1, kProtocolVersion), 5s);
    EXPECT_EQ(reply.code(), Errc::bad_message);
    EXPECT_THAT(reply.error().context, HasSubstr("is not a ChordFS node"));
  }(this));
}

TEST_F(MisbehaviourTest, ServerOfAnotherVersion) {
  run([](Self t) -> awaitable<void> {
    auto reply = co_await t->call_to_server_that_says(hello_with(kMagic, 99), 5s);
    EXPECT_EQ(reply.code(), Errc::wrong_version);
    EXPECT_THAT(reply.error().context, HasSubstr("speaks protocol versions 99 to 99, this side speaks"));
  }(this));
}

TEST_F(MisbehaviourTest, ServerThatSaysNothing) {
  run([](Self t) -> awaitable<void> {
    auto reply = co_await t->call_to_server_that_says("", 20ms);
    EXPECT_EQ(reply.code(), Errc::unreachable) << "the call was never sent";
    EXPECT_THAT(reply.error().context, HasSubstr("no answer within 20 ms"));
  }(this));
}

TEST_F(MisbehaviourTest, ServerThatSaysNothingEndsTheAttempt) {
  run([](Self t) -> awaitable<void> {
    auto reply = co_await t->call_to_server_that_says("", 30s);
    EXPECT_EQ(reply.code(), Errc::unreachable);
    EXPECT_THAT(reply.error().context, HasSubstr("no answer within 1000 ms"));
  }(this));
}

TEST_F(MisbehaviourTest, ServerThatSendsGarbageMidCall) {
  run([](Self t) -> awaitable<void> {
    auto reply = co_await t->call_to_server_that_says(hello_bytes(), 20s, std::string(64, '\xff'));
    EXPECT_EQ(reply.code(), Errc::timed_out) << "nobody knows whether it was executed";
  }(this));
}

TEST_F(MisbehaviourTest, ServerThatSendsARequest) {
  run([](Self t) -> awaitable<void> {
    auto reply = co_await t->call_to_server_that_says(hello_bytes(), 20s, ping_bytes(1));
    EXPECT_EQ(reply.code(), Errc::timed_out) << "nobody knows whether it was executed";
  }(this));
}

TEST_F(MisbehaviourTest, ReplyToACallThatNeverWasIsIgnored) {
  run([](Self t) -> awaitable<void> {
    auto reply = co_await t->call_to_server_that_says(hello_bytes(), 20s, pong_bytes(999) + pong_bytes(1));
    EXPECT_TRUE(reply);
  }(this));
}

}  // namespace
}  // namespace chordfs
