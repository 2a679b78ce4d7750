// Any replies to a client from whatever it takes for nodes: each call ends, with a value or an error.
#include <deque>

#include "proto/client/ring_client.h"
#include "proto/wire/limits.h"
#include "tests/fuzz/cuts.h"
#include "tests/fuzz/quiet.h"
#include "tools/sim/world.h"

namespace chordfs {
namespace {

/// Answers with what it was given, and then not at all.
class Liar final : public Transport {
 public:
  Liar(Runtime& runtime, std::deque<Reply> replies) : runtime_(runtime), replies_(std::move(replies)) {}

  awaitable<Result<Reply>> call(Endpoint to, Request, Duration) override {
    co_await runtime_.sleep(1ms);
    if (replies_.empty()) co_return Error{Errc::unreachable, to.text()};
    auto reply = std::move(replies_.front());
    replies_.pop_front();
    co_return reply;
  }
  void post(Endpoint, Request) override {}
  void serve(Handler) override {}

 private:
  Runtime& runtime_;
  std::deque<Reply> replies_;
};

std::deque<Reply> replies_in(fuzz::Cuts& input) {
  std::deque<Reply> replies;
  while (!input.empty()) {
    const auto header = input.text();
    Reply reply;
    reply.payload = Bytes::copy(input.text());
    if (reply.header.ParseFromArray(header.data(), static_cast<int>(header.size())))
      replies.push_back(std::move(reply));
  }
  return replies;
}

awaitable<void> ask(RingClient& client, std::uint8_t what) {
  if (what & 0x80) {
    std::ignore = co_await client.connect();
  } else {
    client.adopt(Uuid{1, 2}, ArcMap(2));
  }
  if (what & 0x40) std::ignore = co_await client.open_session("fuzz");
  wire::Transaction transaction;
  transaction.add_parts()->add_steps()->mutable_link()->set_ino(1);
  wire::Query query;
  query.mutable_get_inode()->set_ino(1);
  const std::string block(kBlockIdBytes, 'b');
  switch (what % 6) {
    case 0:
      std::ignore = co_await client.query(0, std::move(query));
      break;
    case 1:
      if (client.session() != 0) std::ignore = co_await client.transact(std::move(transaction), 0);
      break;
    case 2:
      std::ignore = co_await client.get_block(block, 10, 100);
      break;
    case 3:
      std::ignore = co_await client.put_block(block, Bytes::copy("contents"));
      break;
    case 4:
      std::ignore = co_await client.locate(Id::hash("name"));
      break;
    case 5:
      std::ignore = co_await client.walk(true);
      break;
  }
  co_await client.stop();
}

}  // namespace
}  // namespace chordfs

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace chordfs;
  fuzz::be_quiet();
  fuzz::Cuts input(data, size);
  const auto what = input.byte();
  World world(1);
  Liar liar(world.runtime(), replies_in(input));
  RingClient client(world.runtime(), liar, {{"10.0.0.1", 1}, {"10.0.0.2", 2}});
  world.run(ask(client, what));
  return 0;
}
