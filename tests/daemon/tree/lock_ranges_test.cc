// Ranges of locks against a byte array that a child could check.
#include "daemon/tree/lock_ranges.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "daemon/tree/file_locks.h"

namespace chordfs::tree {

namespace {
using Type = wire::FileLock::Type;
constexpr std::uint64_t kBytes = 6;
constexpr std::array kTypes{wire::FileLock::NONE, wire::FileLock::SHARED, wire::FileLock::EXCLUSIVE};

using Model = std::array<Type, kBytes>;

std::vector<LockRange> ranges_of(const Model& model) {
  std::vector<LockRange> ranges;
  for (std::uint64_t at = 0; at < kBytes; ++at) {
    if (model[at] == wire::FileLock::NONE) continue;
    if (!ranges.empty() && ranges.back().end + 1 == at && ranges.back().type == model[at])
      ranges.back().end = at;
    else
      ranges.push_back({at, at, model[at], 0});
  }
  return ranges;
}
}  // namespace

// Every state of six bytes, and every change of it.
TEST(LockRanges, AsAnArrayOfBytesWouldHaveIt) {
  int states = 1;
  for (std::uint64_t at = 0; at < kBytes; ++at) states *= 3;
  for (int state = 0; state < states; ++state) {
    Model before;
    auto left = state;
    for (auto& byte : before) {
      byte = kTypes[static_cast<std::size_t>(left % 3)];
      left /= 3;
    }
    for (std::uint64_t start = 0; start < kBytes; ++start)
      for (std::uint64_t end = start; end < kBytes; ++end)
        for (auto type : kTypes) {
          auto after = before;
          for (auto at = start; at <= end; ++at) after[at] = type;
          LockRanges ranges(ranges_of(before));
          ranges.set({start, end, type, 0});
          ASSERT_EQ(ranges.all(), ranges_of(after)) << "state " << state << ": " << start << "-" << end << " " << type;
        }
  }
}

TEST(LockRanges, TheLastByteThereIs) {
  LockRanges ranges;
  ranges.set({10, kLockEndMax, wire::FileLock::EXCLUSIVE, 1});
  ranges.set({0, 9, wire::FileLock::EXCLUSIVE, 1});
  EXPECT_EQ(ranges.all(), (std::vector<LockRange>{{0, kLockEndMax, wire::FileLock::EXCLUSIVE, 1}}));
  ranges.set({kLockEndMax, kLockEndMax, wire::FileLock::NONE, 1});
  EXPECT_EQ(ranges.all(), (std::vector<LockRange>{{0, kLockEndMax - 1, wire::FileLock::EXCLUSIVE, 1}}));
}

}  // namespace chordfs::tree
