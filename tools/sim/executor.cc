#include "tools/sim/executor.h"

#include "proto/base/check.h"

namespace chordfs {

namespace {
struct Running {
  explicit Running(bool& f) : flag(f) { flag = true; }
  ~Running() { flag = false; }
  bool& flag;
};
}  // namespace

asio::any_io_executor ReadyLoop::executor() {
  return ReadyExecutor(*this);
}

void ReadyLoop::drain() {
  CHECK(!running_, "the world is driven from inside itself");
  Running guard(running_);
  for (std::uint64_t run = 0; !ready_.empty(); ++run, ++handlers_) {
    CHECK(run < kHandlersPerInstantMax, "a coroutine spins without waiting for anything");
    auto handler = std::move(ready_.front());
    ready_.pop_front();
    handler();
  }
}

void ReadyLoop::call(std::move_only_function<void()> callback) {
  CHECK(!running_, "the world is driven from inside itself");
  {
    Running guard(running_);
    callback();
  }
  drain();
}

}  // namespace chordfs
