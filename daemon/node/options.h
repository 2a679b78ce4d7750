#pragma once
// The command line of chordfs-node. Start-up only; errors are one line for the person who typed it.

#include <filesystem>
#include <optional>
#include <string>

#include "proto/base/result.h"
#include "proto/base/runtime.h"
#include "proto/id/id.h"
#include "proto/rpc/transport.h"

namespace chordfs {

struct NodeOptions {
  Endpoint self;
  std::optional<Endpoint> peer;
  std::filesystem::path data;
  int arc_bits = ArcMap::kBitsDefault;
  int positions = 8;
  int replicas = 3;
  bool relaxed = false;
  std::string zone;
  Duration evict_after = 60s;
  Duration sweep_every = 600s;
  bool verbose = false;
};

/// The options, or the exit code after usage, version or an error was printed.
std::expected<NodeOptions, int> parse_options(int argc, char** argv);

}  // namespace chordfs
