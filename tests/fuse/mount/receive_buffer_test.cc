#include "fuse/mount/receive_buffer.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace chordfs::mount {
namespace {

TEST(Spares, NothingAtFirst) {
  EXPECT_EQ(Spares().take(), nullptr);
}

TEST(Spares, GivesBackWhatItWasGiven) {
  Spares spares;
  void* memory = std::malloc(1);
  spares.give(memory);
  EXPECT_EQ(spares.take(), memory);
  EXPECT_EQ(spares.take(), nullptr);
  std::free(memory);
}

TEST(Spares, KeepsNoMoreThanItsLimit) {
  Spares spares;
  for (std::size_t i = 0; i <= kSparesMax; ++i) spares.give(std::malloc(1));  // The last is freed: the leak check.
  std::size_t kept = 0;
  while (void* memory = spares.take()) {
    std::free(memory);
    ++kept;
  }
  EXPECT_EQ(kept, kSparesMax);
}

TEST(ReceiveBuffer, SmallWriteIsCopied) {
  std::string text(kTakeOverBytesMin - 1, 'x');
  fuse_bufvec vector{.count = 1, .buf = {{.size = text.size(), .mem = text.data()}}};
  auto bytes = ReceiveBuffer::written(vector);
  EXPECT_EQ(bytes.view(), text);
  EXPECT_NE(bytes.data(), text.data());
}

}  // namespace
}  // namespace chordfs::mount
