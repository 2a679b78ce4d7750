#include "tests/fuzz/node_world.h"

#include "proto/base/check.h"

namespace chordfs::fuzz {

namespace {
constexpr Duration kCallTimeout = 1s;
constexpr Duration kStartLimit = 60s;
constexpr Duration kCallsLimit = 1h;
constexpr Duration kSettling = 3s;
}  // namespace

class NodeWorld::NodeProgram final : public Program {
 public:
  NodeProgram(NodeWorld& world, Runtime& runtime, Transport& transport)
      : world_(world),
        disk_(world.disk_->open(runtime)),
        node_(runtime, transport, *disk_,
              {.self = world.node_->endpoint(), .join = {}, .arc_bits = 2, .positions = 2}) {}

  awaitable<void> run() override {
    world_.started_ = co_await node_.start();
    if (*world_.started_) world_.ended_ = co_await node_.ended();
  }
  awaitable<void> stop() override { co_await node_.stop(); }

 private:
  NodeWorld& world_;
  std::unique_ptr<Disk> disk_;
  Node node_;
};

class NodeWorld::Stranger final : public Program {
 public:
  Stranger(NodeWorld& world, Transport& transport) : world_(world), transport_(transport) {}

  awaitable<void> send(std::vector<Request> requests) {
    for (auto& request : requests)
      std::ignore = co_await transport_.call(world_.node_->endpoint(), std::move(request), kCallTimeout);
  }

 private:
  NodeWorld& world_;
  Transport& transport_;
};

NodeWorld::NodeWorld() : world_(1) {
  disk_ = std::make_unique<SimDisk>(world_.runtime());
  node_ = &world_.add_host({.program = [this](Runtime& runtime, Transport& transport) {
    return std::make_unique<NodeProgram>(*this, runtime, transport);
  }});
  node_->on_death([this](SimHost::Death) { disk_->crash(Crash::process_kill); });
  stranger_ = &world_.add_host(
      {.program = [this](Runtime&, Transport& transport) { return std::make_unique<Stranger>(*this, transport); }});
  stranger_->start();
}

Result<void> NodeWorld::start() {
  kill();
  started_.reset();
  ended_.reset();
  node_->start();
  CHECK(world_.run_until([this] { return started_.has_value(); }, kStartLimit), "the node does not get to its end");
  return *started_;
}

void NodeWorld::kill() {
  if (node_->alive()) node_->crash();
  world_.run_for(1ms);  // Until it is buried.
}

void NodeWorld::send(std::vector<Request> requests) {
  for (const auto& request : requests) asked_to_leave_ |= request.header.has_leave();
  world_.run(stranger_->program_as<Stranger>().send(std::move(requests)), kCallsLimit);
  world_.run_for(kSettling);
  CHECK(!ended_ || asked_to_leave_, "the node has ended: {}", *ended_ ? "" : ended_->error().text());
}

void NodeWorld::change(Batch batch) {
  CHECK(!node_->alive());
  auto handle = disk_->open(world_.runtime());
  CHECK(world_.run(handle->commit(std::move(batch), Sync::yes)));
}

}  // namespace chordfs::fuzz
