#pragma once
// SignWorker: on each mount one that changes and looks at what all share, to see that no mount answers from memory what
// another has changed: the time of a file (attributes), and a name that is there or not (entries, listings). Each is a
// register of the History.
// Owner: the Mount. Thread: the world's. Private to Workload.

#include "tools/sim/worker.h"

namespace chordfs {

class Workload::SignWorker : private Timed {
 public:
  SignWorker(Workload& load, Runtime& runtime, FileSystem& files, std::uint32_t number);
  awaitable<void> run();

  static constexpr std::string_view kName = "flag";

 private:
  awaitable<void> set_time();
  awaitable<void> read_time();
  awaitable<void> hoist();
  awaitable<void> lower();
  awaitable<void> look();

  Runtime& runtime_;
  FileSystem& files_;
  const std::uint32_t number_;
  Rng rng_;
  std::int64_t times_ = 0;
};

}  // namespace chordfs
