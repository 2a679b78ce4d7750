#pragma once
// PingProgram: answers pings, and sends them to others for as long as it lives. What the tests of the simulator run.

#include <cstdint>
#include <memory>
#include <vector>

#include "proto/base/task.h"
#include "proto/rpc/transport.h"
#include "tools/sim/host.h"
#include "tools/sim/world.h"

namespace chordfs {

/// What the pinging programs of one test saw; outlives them.
struct PingScore {
  std::uint64_t served = 0, answered = 0, failed = 0, destroyed = 0, stopped = 0;
  std::uint64_t order = 1;  ///< Of everything seen, hashed: equal for equal runs.
  void saw(std::uint64_t what) { order = (order ^ what) * 0x100000001b3; }
};

struct PingOptions {
  Duration pause{};    ///< Between two pings of one sender; nothing: send none.
  Duration service{};  ///< How long an answer takes.
  Duration timeout = 1s;
  std::vector<Endpoint> peers;
};

class PingProgram final : public Program {
 public:
  PingProgram(Runtime& runtime, Transport& transport, PingScore& score, PingOptions options);
  ~PingProgram() override { ++score_.destroyed; }

  awaitable<void> run() override;
  awaitable<void> stop() override;

 private:
  awaitable<Reply> serve(Request request);
  awaitable<void> send_pings();

  Runtime& runtime_;
  Transport& transport_;
  PingScore& score_;
  const PingOptions options_;
  TaskGroup tasks_;
};

Request ping_request();
/// A host that runs a PingProgram.
SimHost& add_ping_host(World& world, PingScore& score, PingOptions options = {});
/// A program that does nothing but hold its doors open for the test to use.
SimHost& add_idle_host(World& world);

}  // namespace chordfs
