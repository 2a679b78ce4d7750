#pragma once
// What a Disk test stands on: a disk of either kind that can be closed and opened again, and short ways to use it.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "daemon/store/disk.h"
#include "tests/daemon/store/test_runtime.h"

namespace chordfs {

/// A place where a disk keeps its contents while no Disk is open.
class DiskPlace {
 public:
  virtual ~DiskPlace() = default;
  virtual std::unique_ptr<Disk> open(Runtime& runtime) = 0;
};
using MakeDiskPlace = std::unique_ptr<DiskPlace> (*)(Runtime& runtime);

std::unique_ptr<DiskPlace> real_disk_place(Runtime& runtime);
std::unique_ptr<DiskPlace> sim_disk_place(Runtime& runtime);

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline Pairs pairs_in(const RecordView& view, std::string_view from = "", std::string_view to = "") {
  Pairs pairs;
  view.scan(from, to, [&](std::string_view key, std::string_view value) {
    pairs.emplace_back(key, value);
    return true;
  });
  return pairs;
}

inline Batch put(std::string key, std::string value) {
  Batch batch;
  batch.put(std::move(key), std::move(value));
  return batch;
}

/// All records of the disk.
inline Pairs contents(TestRuntime& runtime, Disk& disk) {
  Pairs pairs;
  auto result = runtime.run(disk.read([&](const RecordView& view) { pairs = pairs_in(view); }));
  EXPECT_TRUE(result) << result.error().text();
  return pairs;
}

}  // namespace chordfs
