#pragma once
// One life of a program on a SimHost. Owner: the host while alive, the world's graveyard until it is buried.

#include <memory>

#include "proto/base/task.h"
#include "tools/sim/host.h"
#include "tools/sim/network.h"
#include "tools/sim/runtime.h"

namespace chordfs {

struct SimHost::Incarnation {
  enum class Stop { not_called, running, done };

  Incarnation(World& world, SimHost& host, SimClock clock, Rng rng, std::uint64_t number)
      : runtime(world, &host, clock, rng), tasks(runtime), transport(world, host, runtime, tasks, number) {}

  SimRuntime runtime;
  TaskGroup tasks;  ///< Program::run() and a coroutine for each request being served.
  SimTransport transport;
  Stop stop = Stop::not_called;
  Signal stopped;
  bool buried = false;  ///< No coroutine of it is left; the world may destroy it.
  std::unique_ptr<Program> program;
};

}  // namespace chordfs
