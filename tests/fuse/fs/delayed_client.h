#pragma once
// DelayedClient: another Client whose calls take their time, each a different one, before and after they happen; so
// that operations meet in the middle. Owner: a test; it does not own the client behind it.

#include "proto/client/client.h"

namespace chordfs {

class DelayedClient final : public Client {
 public:
  DelayedClient(Client& client, Duration delay_max) : client_(client), delay_max_(delay_max) {}

  Runtime& runtime() override { return client_.runtime(); }
  const ArcMap& arcs() const override { return client_.arcs(); }
  std::uint64_t last_session() const override { return client_.last_session(); }
  awaitable<Result<void>> open_session(std::string name) override { return client_.open_session(std::move(name)); }
  awaitable<void> close_session() override { return client_.close_session(); }
  awaitable<Result<wire::Answer>> transact(wire::Transaction transaction, std::uint64_t opened) override {
    return delayed(client_.transact(std::move(transaction), opened));
  }
  awaitable<Result<wire::QueryAnswer>> query(ArcNumber arc, wire::Query query) override {
    return delayed(client_.query(arc, std::move(query)));
  }
  awaitable<Result<void>> put_block(std::string block, Bytes contents) override {
    return delayed(client_.put_block(std::move(block), std::move(contents)));
  }
  awaitable<Result<Bytes>> get_block(std::string block, std::uint32_t offset, std::uint32_t length) override {
    return delayed(client_.get_block(std::move(block), offset, length));
  }
  void opened(std::uint64_t ino) override { client_.opened(ino); }
  void released(std::uint64_t ino) override { client_.released(ino); }
  awaitable<Result<Location>> locate(Id id) override { return client_.locate(id); }
  awaitable<Result<std::vector<wire::Status>>> walk(bool with_blocks) override { return client_.walk(with_blocks); }

 private:
  Duration some() { return Duration(runtime().below(static_cast<std::uint64_t>(delay_max_.count()))); }
  template <class T>
  awaitable<Result<T>> delayed(awaitable<Result<T>> call) {
    co_await runtime().sleep(some());
    auto result = co_await std::move(call);
    co_await runtime().sleep(some());
    co_return result;
  }

  Client& client_;
  Duration delay_max_;
};

}  // namespace chordfs
