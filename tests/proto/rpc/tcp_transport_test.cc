#include "proto/rpc/tcp_transport.h"

#include "tests/proto/rpc/loopback_test.h"
#include "tests/proto/rpc/raw_peer.h"

namespace chordfs {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class TcpTransportTest : public LoopbackTest {
 public:
  using Self = TcpTransportTest*;

  awaitable<void> note_code(Endpoint to, Request request, Duration timeout) {
    auto reply = co_await client_.call(std::move(to), std::move(request), timeout);
    codes_.push_back(reply.code());
    contexts_.push_back(reply ? "" : reply.error().context);
  }
  std::vector<Errc> codes_;
  std::vector<std::string> contexts_;
};

TEST_F(TcpTransportTest, CallIsAnswered) {
  run([](Self t) -> awaitable<void> {
    auto reply = co_await t->client_.call(t->server(), ping(), 5s);
    CO_ASSERT(reply);
    EXPECT_TRUE(reply->header.has_ping());
    EXPECT_EQ(t->requests_, 1);
  }(this));
}

TEST_F(TcpTransportTest, HostNameIsResolved) {
  run([](Self t) -> awaitable<void> {
    EXPECT_TRUE(co_await t->client_.call({"localhost", t->server_.port()}, ping(), 5s));
  }(this));
}

TEST_F(TcpTransportTest, ErrorReplyIsAReplyUntilAnswered) {
  run([](Self t) -> awaitable<void> {
    Request request;
    request.header.mutable_find();
    auto reply = co_await t->client_.call(t->server(), request, 5s);
    CO_ASSERT(reply);
    EXPECT_EQ(answered(reply).code(), Errc::not_owner);
    EXPECT_EQ(answered(reply).error().context, "not I");
  }(this));
}

awaitable<void> put_and_compare(Transport* transport, Endpoint to, std::string text) {
  Request request;
  request.header.mutable_put_block();
  request.payload = Bytes::copy(text);
  auto reply = co_await transport->call(std::move(to), std::move(request), 20s);
  EXPECT_TRUE(reply && reply->payload.view() == text) << text.size();
}

TEST_F(TcpTransportTest, ConcurrentCallsEachGetTheirOwnAnswer) {
  run([](Self t) -> awaitable<void> {
    for (int i = 0; i < 3000; ++i)
      t->tasks_.spawn("put", put_and_compare(&t->client_, t->server(), std::to_string(i) + std::string(i * 7, 'x')));
    co_await t->tasks_.join();
    EXPECT_EQ(t->requests_, 3000);
  }(this));
}

TEST_F(TcpTransportTest, PayloadsOfFourMebibytesBothWays) {
  run([](Self t) -> awaitable<void> {
    for (int i = 0; i < 6; ++i) {
      std::string text(kBlockBytesMax, static_cast<char>('a' + i));
      for (std::size_t at = 0; at < text.size(); at += 997) text[at] = static_cast<char>(at * 31 + i);
      t->tasks_.spawn("put", put_and_compare(&t->client_, t->server(), std::move(text)));
    }
    co_await t->tasks_.join();
  }(this));
}

TEST_F(TcpTransportTest, EmptyAndSmallPayloads) {
  run([](Self t) -> awaitable<void> {
    for (std::size_t size : {0, 1, 2048, 2049, 32768, 65535, 65536}) {
      auto reply = co_await t->client_.call(t->server(), put(Bytes::take(std::string(size, 'z'))), 5s);
      CO_ASSERT(reply);
      EXPECT_EQ(reply->payload.view(), std::string(size, 'z'));
    }
  }(this));
}

TEST_F(TcpTransportTest, DeadlinePassesAndTheLateReplyIsDropped) {
  run([](Self t) -> awaitable<void> {
    auto reply = co_await t->client_.call(t->server(), unanswered(), 20ms);
    EXPECT_EQ(reply.code(), Errc::timed_out);
    t->release();
    EXPECT_TRUE(co_await t->client_.call(t->server(), ping(), 5s));
  }(this));
}

TEST_F(TcpTransportTest, NobodyListens) {
  run([](Self t) -> awaitable<void> {
    const auto port = RawListener(t->runtime_).port();  // Closed again at once.
    auto reply = co_await t->client_.call({"127.0.0.1", port}, ping(), 5s);
    EXPECT_EQ(reply.code(), Errc::unreachable);
    EXPECT_EQ(reply.error().context, fmt::format("connect to 127.0.0.1:{}: Connection refused", port));
  }(this));
}

TEST_F(TcpTransportTest, ServerDiesMidCall) {
  run([](Self t) -> awaitable<void> {
    t->tasks_.spawn("call", t->note_code(t->server(), unanswered(), 20s));
    co_await until([t] { return t->requests_ == 1; });
    co_await t->server_.stop();
    co_await t->tasks_.join();
    EXPECT_EQ(t->codes_, std::vector{Errc::timed_out});
    EXPECT_THAT(t->contexts_[0], HasSubstr("closed the connection before it answered"));
  }(this));
}

TEST_F(TcpTransportTest, CallThatNeverLeftIsUnreachable) {
  run([](Self t) -> awaitable<void> {
    RawListener listener(t->runtime_);
    // Far more than the kernel buffers: the first may have begun to leave, the last has not.
    for (int i = 0; i < 12; ++i)
      t->tasks_.spawn(
          "put", t->note_code({"127.0.0.1", listener.port()}, put(Bytes::take(std::string(kBlockBytesMax, 'x'))), 20s));
    auto peer = co_await listener.accept();
    co_await peer.send(hello_bytes());
    CO_ASSERT((co_await peer.receive())->header.has_hello());
    CO_ASSERT((co_await peer.receive())->header.has_request());
    peer.close();
    co_await t->tasks_.join();
    EXPECT_EQ(t->codes_.front(), Errc::timed_out);
    EXPECT_EQ(t->codes_.back(), Errc::unreachable);
  }(this));
}

TEST_F(TcpTransportTest, StopEndsCallsUnderWay) {
  run([](Self t) -> awaitable<void> {
    RawListener silent(t->runtime_);
    t->tasks_.spawn("waits for its answer", t->note_code(t->server(), unanswered(), 20s));
    t->tasks_.spawn("waits for its connection", t->note_code({"127.0.0.1", silent.port()}, ping(), 20s));
    co_await until([t] { return t->requests_ == 1; });
    co_await t->client_.stop();
    EXPECT_THAT(t->codes_, Each(Errc::cancelled));
    EXPECT_EQ(t->codes_.size(), 2U) << "stop() returns after the calls";
    EXPECT_EQ((co_await t->client_.call(t->server(), ping(), 5s)).code(), Errc::cancelled);
  }(this));
}

TEST_F(TcpTransportTest, StopCancelsHandlers) {
  run([](Self t) -> awaitable<void> {
    t->tasks_.spawn("call", t->note_code(t->server(), unanswered(), 20s));
    co_await until([t] { return t->requests_ == 1; });
    co_await t->server_.stop();
    EXPECT_EQ(t->waiting_, 0);
    co_await t->tasks_.join();
  }(this));
}

TEST_F(TcpTransportTest, CancelledCallerLeavesTheConnectionUsable) {
  run([](Self t) -> awaitable<void> {
    TaskGroup callers(t->runtime_);
    callers.spawn("call", t->note_code(t->server(), unanswered(), 20s));
    co_await until([t] { return t->requests_ == 1; });
    callers.stop();
    co_await callers.join();
    EXPECT_TRUE(t->codes_.empty());
    t->release();
    EXPECT_TRUE(co_await t->client_.call(t->server(), ping(), 5s));
  }(this));
}

TEST_F(TcpTransportTest, ReconnectsAfterTheServerRestarts) {
  run([](Self t) -> awaitable<void> {
    const auto to = t->server();
    EXPECT_TRUE(co_await t->client_.call(to, ping(), 5s));
    co_await t->server_.stop();
    Errc code = Errc::ok;
    while (code != Errc::unreachable) code = (co_await t->client_.call(to, ping(), 1s)).code();
    TcpTransport again(t->runtime_, "test-server");
    again.serve([t](Request request) { return t->handle(std::move(request)); });
    EXPECT_TRUE(again.listen("127.0.0.1", to.port));
    EXPECT_TRUE(co_await t->client_.call(to, ping(), 5s));
    co_await again.stop();
  }(this));
}

TEST_F(TcpTransportTest, CallersShareOneConnectionAndBlocksHaveAnother) {
  run([](Self t) -> awaitable<void> {
    RawListener listener(t->runtime_);
    const Endpoint to{"127.0.0.1", listener.port()};
    for (int i = 0; i < 10; ++i) t->tasks_.spawn("ping", t->note_code(to, ping(), 5s));
    auto small = co_await listener.accept();
    co_await small.send(hello_bytes());
    CO_ASSERT((co_await small.receive())->header.has_hello());
    for (int i = 0; i < 10; ++i) {
      auto request = co_await small.receive();
      CO_ASSERT(request && request->header.request().has_ping());
      co_await small.send(pong_bytes(request->header.call()));
    }
    co_await t->tasks_.join();
    EXPECT_THAT(t->codes_, Each(Errc::ok));
    t->tasks_.spawn("put", t->note_code(to, put(Bytes::take(std::string(kBulkBytesMin, 'b'))), 5s));
    auto bulk = co_await listener.accept();
    co_await bulk.send(hello_bytes());
    CO_ASSERT((co_await bulk.receive())->header.has_hello());
    auto request = co_await bulk.receive();
    CO_ASSERT(request && request->header.request().has_put_block());
    co_await bulk.send(pong_bytes(request->header.call()));
    co_await t->tasks_.join();
  }(this));
}

TEST_F(TcpTransportTest, RequestOverTheCapIsRefusedAtHome) {
  run([](Self t) -> awaitable<void> {
    auto reply =
        co_await t->client_.call(t->server(), put(Bytes::take(std::string(kFramePayloadBytesMax + 1, 'x'))), 5s);
    EXPECT_EQ(reply.code(), Errc::bad_message);
    EXPECT_EQ(t->requests_, 0);
  }(this));
}

TEST_F(TcpTransportTest, ReplyOverTheCapBecomesAnError) {
  run([](Self t) -> awaitable<void> {
    Request request;
    request.header.mutable_get_block()->set_length(kFramePayloadBytesMax + 1);
    auto reply = co_await t->client_.call(t->server(), std::move(request), 5s);
    CO_ASSERT(reply);
    EXPECT_EQ(answered(reply).code(), Errc::bad_message);
  }(this));
}

TEST_F(TcpTransportTest, NodeThatDoesNotServeYetIsBusy) {
  run([](Self t) -> awaitable<void> {
    TcpTransport starting(t->runtime_, "test-server");
    EXPECT_TRUE(starting.listen("127.0.0.1", 0));
    auto reply = co_await t->client_.call({"127.0.0.1", starting.port()}, ping(), 5s);
    CO_ASSERT(reply);
    EXPECT_EQ(answered(reply).code(), Errc::busy);
    co_await starting.stop();
  }(this));
}

TEST_F(TcpTransportTest, ListenSaysWhatToDo) {
  TcpTransport other(runtime_, "test");
  auto in_use = other.listen("127.0.0.1", server_.port());
  EXPECT_EQ(in_use.code(), Errc::busy);
  EXPECT_EQ(in_use.error().context,
            fmt::format("port {} is in use on 127.0.0.1: is another chordfs-node running there? Choose another port.",
                        server_.port()));
  auto foreign = other.listen("192.0.2.1", 0);
  EXPECT_EQ(foreign.code(), Errc::invalid);
  EXPECT_EQ(foreign.error().context, "192.0.2.1 is not an address of this machine");
  EXPECT_TRUE(other.listen("127.0.0.1", 0)) << "a failed attempt leaves nothing behind";
  run(other.stop());
}

TEST_F(TcpTransportTest, DeathOfAServerThatWasTalkedToIsTold) {
  run([](Self t) -> awaitable<void> {
    std::vector<Endpoint> dead;
    t->client_.on_death([&dead](const Endpoint& at) { dead.push_back(at); });
    EXPECT_TRUE(co_await t->client_.call(t->server(), ping(), 5s));
    EXPECT_TRUE(dead.empty());
    const auto at = t->server();
    co_await t->server_.stop();
    co_await until([&dead] { return !dead.empty(); });
    EXPECT_EQ(dead.front(), at);
    co_await t->client_.stop();
  }(this));
}

TEST_F(TcpTransportTest, ConnectionThatEndsIsNoDeathWhileAnotherCanBeMade) {
  run([](Self t) -> awaitable<void> {
    int dead = 0;
    t->client_.on_death([&dead](const Endpoint&) { ++dead; });
    RawListener listener(t->runtime_);
    t->tasks_.spawn("call", t->note_code({"127.0.0.1", listener.port()}, unanswered(), 5s));
    {
      auto peer = co_await listener.accept();
      co_await peer.send(hello_bytes());
      co_await peer.receive();
      co_await peer.receive();
    }  // Closed.
    auto again = co_await listener.accept();
    EXPECT_EQ(dead, 0);
    co_await t->client_.stop();
  }(this));
}

}  // namespace
}  // namespace chordfs
