#pragma once
// Fixture: a server and a client, both TcpTransport, on real loopback sockets and one io_context. Everything is
// stopped and joined at the end of each test, whatever happened in it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>

#include "proto/rpc/asio_runtime.h"
#include "proto/rpc/tcp_transport.h"

namespace chordfs {

class LoopbackTest : public ::testing::Test {
 public:
  LoopbackTest() {
    server_.serve([this](Request request) { return handle(std::move(request)); });
    EXPECT_TRUE(server_.listen("127.0.0.1", 0));
  }
  ~LoopbackTest() override {
    release();
    run([](LoopbackTest* t) -> awaitable<void> {
      co_await t->client_.stop();
      co_await t->server_.stop();
      co_await t->tasks_.join();
    }(this));
  }

  void run(awaitable<void> scenario) { run_to_end(io_, std::move(scenario)); }
  Endpoint server() const { return {"127.0.0.1", server_.port()}; }

  /// Ping: answered at once. Neighbours: answered after release(). PutBlock: its payload comes back. GetBlock: that
  /// many bytes. Find: an Error.
  awaitable<Reply> handle(Request request) {
    ++requests_;
    Reply reply;
    switch (request.header.kind_case()) {
      case wire::Request::kNeighbours:
        co_await wait_for_release();
        break;
      case wire::Request::kPutBlock:
        reply.payload = std::move(request.payload);
        break;
      case wire::Request::kGetBlock:
        reply.payload = Bytes::take(std::string(request.header.get_block().length(), 'g'));
        break;
      case wire::Request::kFind:
        co_return error_reply({Errc::not_owner, "not I"});
      default:
        reply.header.mutable_ping();
    }
    co_return reply;
  }

  awaitable<void> wait_for_release() {
    struct Inside {
      int& count;
      explicit Inside(int& c) : count(c) { ++count; }
      ~Inside() { --count; }
    } inside(waiting_);
    while (!released_) co_await released_signal_.wait();
  }
  void release() {
    released_ = true;
    released_signal_.notify_all();
  }

  static Request ping() {
    Request request;
    request.header.mutable_ping();
    return request;
  }
  static Request unanswered() {
    Request request;
    request.header.mutable_neighbours();
    return request;
  }
  static Request put(Bytes payload) {
    Request request;
    request.header.mutable_put_block();
    request.payload = std::move(payload);
    return request;
  }
  /// ASSERT_ cannot be used in coroutines, because it returns.
#define CO_ASSERT(condition)            \
  do {                                  \
    const bool holds = bool(condition); \
    EXPECT_TRUE(holds) << #condition;   \
    if (!holds) co_return;              \
  } while (false)

  /// Gives others a turn until `done`. A test that waits in vain is ended by ctest.
  template <class Done>
  static awaitable<void> until(Done done) {
    while (!done()) co_await asio::post(asio::use_awaitable);
  }

  asio::io_context io_{1};
  AsioRuntime runtime_{io_};
  TcpTransport server_{runtime_, "test-server"};
  TcpTransport client_{runtime_, "test-client"};
  TaskGroup tasks_{runtime_};
  int requests_ = 0;
  int waiting_ = 0;  ///< Handlers that wait for release().
  bool released_ = false;
  Signal released_signal_;
};

}  // namespace chordfs
