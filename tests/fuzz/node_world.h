#pragma once
// NodeWorld: a virtual world with one whole node on a simulated disk, and a stranger who sends it requests.
// Owner: one run of a fuzz target. Deterministic. Errors: a node that ends by itself, other than by leaving, is a bug.

#include <memory>
#include <optional>
#include <vector>

#include "daemon/node/node.h"
#include "tools/sim/disk.h"
#include "tools/sim/world.h"

namespace chordfs::fuzz {

class NodeWorld {
 public:
  NodeWorld();

  /// Starts the node; its error, if the disk does not let it. A node that was started before is killed first.
  Result<void> start();
  void kill();
  /// Sends these one after the other; then lets things settle. The node must be up afterwards, or have left.
  void send(std::vector<Request> requests);

  /// The records that stand on the disk, and how to put others there while the node is down.
  std::shared_ptr<const RecordView> records() const { return disk_->visible(); }
  void change(Batch batch);

 private:
  class NodeProgram;
  class Stranger;

  std::unique_ptr<SimDisk> disk_;
  std::optional<Result<void>> started_, ended_;
  bool asked_to_leave_ = false;
  SimHost* node_ = nullptr;
  SimHost* stranger_ = nullptr;
  World world_;  ///< Last: its end buries the programs, which use the rest.
};

}  // namespace chordfs::fuzz
