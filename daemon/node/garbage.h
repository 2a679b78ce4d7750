#pragma once
// Garbage: blocks that no file names and none ever will: those of a writer that died before it committed them, and
// copies of deleted blocks that a member brought back which had been away. Every node walks through all blocks that it
// holds (its leader need not know of a copy), asks the arcs of their inodes what may go (tree/housekeeping.h says
// when), and has it dropped by the leader, on all members.
//
// No lock, no clock: what the answer rests on is for ever. An answer that is late, or lost, costs nothing but time.
//
// Owner: Node. Thread: the Runtime's. start(), and stop() before destruction.
// Limits: kBlocksAsked blocks in one question, one question at a time and kQuestionPause between two, kBlocksCollected
// identifiers in memory.

#include <map>
#include <string>
#include <vector>

#include "daemon/store/block_store.h"
#include "proto/base/task.h"
#include "proto/client/ring_client.h"

namespace chordfs {

inline constexpr Duration kQuestionPause = 20ms;
inline constexpr std::size_t kBlocksAsked = 1000;
inline constexpr std::size_t kBlocksCollected = 100'000;

class Garbage {
 public:
  /// `every`: from the end of one walk to the beginning of the next.
  Garbage(Runtime& runtime, const BlockStore& blocks, RingClient& client, Duration every);

  void start();
  awaitable<void> stop();

 private:
  using Questions = std::map<ArcNumber, std::vector<std::string>>;  ///< By the arc of the blocks' inodes.

  awaitable<void> run();
  awaitable<void> walk();
  awaitable<void> ask_all(Questions questions);
  awaitable<Result<void>> ask(ArcNumber arc, std::vector<std::string> blocks);

  Runtime& runtime_;
  const BlockStore& blocks_;
  RingClient& client_;
  const Duration every_;
  TaskGroup tasks_;
};

}  // namespace chordfs
