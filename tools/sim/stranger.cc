#include "tools/sim/stranger.h"

#include <fmt/format.h>

#include "daemon/arc/keys.h"
#include "daemon/node/node.h"
#include "tools/sim/ring_world.h"

namespace chordfs {

namespace {
constexpr Duration kPostTimeout = 1s;

bool is_refusal(std::uint32_t error) {
  switch (static_cast<Errc>(error)) {
    case Errc::wrong_ring:
    case Errc::not_owner:  // It has not found its own ring yet.
    case Errc::busy:
      return true;
    default:
      return false;
  }
}
}  // namespace

/// Between the stranger and the network: judges what crosses.
class Stranger::Door final : public Transport {
 public:
  Door(Stranger& stranger, Runtime& runtime, Transport& network)
      : stranger_(stranger), network_(network), posts_(runtime) {}

  awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout) override {
    const std::string named = request.header.ring();
    const auto kind = request.header.kind_case();
    auto reply = co_await network_.call(to, std::move(request), timeout);
    // To itself a node speaks without the network.
    if (reply) judge(fmt::format("a node of ours at {}", to.text()), named, kind, reply->header.error());
    co_return reply;
  }

  void post(Endpoint to, Request request) override {
    posts_.spawn("a stranger's post", [](Door& door, Endpoint at, Request letter) -> awaitable<void> {
      std::ignore = co_await door.call(std::move(at), std::move(letter), kPostTimeout);
    }(*this, std::move(to), std::move(request)));
  }

  void serve(Handler handler) override {
    handler_ = std::move(handler);
    network_.serve([this](Request request) -> awaitable<Reply> {
      const std::string named = request.header.ring();
      const auto kind = request.header.kind_case();
      auto reply = co_await handler_(std::move(request));
      judge("a stranger", named, kind, reply.header.error());
      co_return reply;
    });
  }
  void on_death(DeathWatch watch) override { network_.on_death(std::move(watch)); }

  awaitable<void> stop() {
    posts_.stop();
    co_await posts_.join();
  }

 private:
  void judge(std::string_view who, const std::string& named, wire::Request::KindCase kind, std::uint32_t error) {
    if (named.empty()) return;
    if (is_refusal(error))
      ++stranger_.refused_;
    else
      stranger_.ring_.violation(fmt::format("I31: {} answers a request of kind {} of another ring: error {}", who,
                                            static_cast<int>(kind), error));
  }

  Stranger& stranger_;
  Transport& network_;
  Handler handler_;
  TaskGroup posts_;
};

class Stranger::NodeProgram final : public Program {
 public:
  NodeProgram(Stranger& stranger, Runtime& runtime, Transport& network, Endpoint self, std::vector<Endpoint> via)
      : door_(stranger, runtime, network),
        disk_(stranger.disk_.open(runtime)),
        node_(runtime, door_, *disk_,
              {.self = std::move(self), .join = std::move(via), .arc_bits = 1, .positions = 1}) {}

  awaitable<void> run() override {
    if (co_await node_.start()) std::ignore = co_await node_.ended();
  }
  awaitable<void> stop() override {
    co_await node_.stop();
    co_await door_.stop();
  }

 private:
  Door door_;
  std::unique_ptr<Disk> disk_;
  Node node_;
};

Stranger::Stranger(RingWorld& ring) : ring_(ring), disk_(ring.world().runtime()) {}

std::unique_ptr<Program> Stranger::program(Runtime& runtime, Transport& transport, Endpoint self,
                                           std::vector<Endpoint> via) {
  // Before it has a ring of its own it would really join.
  if (!disk_.durable()->get(keys::node("ring"))) via.clear();
  return std::make_unique<NodeProgram>(*this, runtime, transport, std::move(self), std::move(via));
}

}  // namespace chordfs
