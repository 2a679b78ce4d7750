#pragma once
// LocalTransport: a Transport that answers calls to this very node without the network and passes on the rest.
// Owner: the node; outlived by what it wraps. Thread: the Runtime's.

#include "proto/rpc/transport.h"

namespace chordfs {

class LocalTransport : public Transport {
 public:
  LocalTransport(Transport& network, Endpoint self) : network_(network), self_(std::move(self)) {}

  awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout) override {
    if (handler_ && to == self_) co_return co_await handler_(std::move(request));
    co_return co_await network_.call(std::move(to), std::move(request), timeout);
  }
  void post(Endpoint to, Request request) override { network_.post(std::move(to), std::move(request)); }
  void serve(Handler handler) override {
    handler_ = handler;
    network_.serve(std::move(handler));
  }
  void on_death(DeathWatch watch) override { network_.on_death(std::move(watch)); }

 private:
  Transport& network_;
  Endpoint self_;
  Handler handler_;
};

}  // namespace chordfs
