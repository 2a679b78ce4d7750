#include "daemon/tree/overlay.h"

#include <gtest/gtest.h>

#include "tests/daemon/tree/memory_records.h"

namespace chordfs::tree {

namespace {
MemoryRecords letters() {
  MemoryRecords records;
  for (std::string key : {"b", "d", "f"}) records.put(key, "below");
  return records;
}

std::string keys(const Overlay& overlay, std::string_view from, std::string_view to, std::size_t keys_max = 100) {
  std::string found;
  overlay.scan(from, to, [&](std::string_view key, std::string_view value) {
    found.append(key).append(value == "below" ? "" : "!");
    return found.size() < keys_max;
  });
  return found;
}
}  // namespace

TEST(Overlay, ScanMergesChangesInOrder) {
  auto records = letters();
  Overlay overlay(records);
  for (std::string key : {"a", "c", "d", "g"}) overlay.put(key, "new");
  overlay.erase("f");
  EXPECT_EQ(keys(overlay, "", ""), "a!bc!d!g!");
  EXPECT_EQ(keys(overlay, "b", "d"), "bc!");
  EXPECT_EQ(keys(overlay, "b", "d", 1), "b");
  EXPECT_EQ(keys(overlay, "h", ""), "");
}

TEST(Overlay, DroppedLeavesNoTrace) {
  auto records = letters();
  auto before = records.map();
  {
    Overlay overlay(records);
    overlay.erase("b");
    overlay.put("d", "new");
    EXPECT_FALSE(overlay.get("b"));
    EXPECT_EQ(overlay.get("d"), "new");
  }
  EXPECT_EQ(records.map(), before);
}

TEST(Overlay, WritesWhatChanged) {
  auto records = letters();
  Overlay overlay(records);
  overlay.erase("b");
  overlay.put("c", "new");
  std::move(overlay).write_to(records);
  EXPECT_EQ(records.map(), (MemoryRecords::Map{{"c", "new"}, {"d", "below"}, {"f", "below"}}));
}

}  // namespace chordfs::tree
