#include "proto/base/result.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <memory>

#include "proto/rpc/asio_runtime.h"

namespace chordfs {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return {Errc::invalid, "odd"};
  return number / 2;
}

Result<void> quarter(int number, int& out) {
  TRY(auto once, half(number));
  TRY(out, half(once));
  return {};
}

Result<std::unique_ptr<int>> boxed(int number) {
  TRY_VOID(half(number));
  return std::make_unique<int>(number);
}

awaitable<Result<int>> unboxed(int number) {
  CO_TRY(auto box, boxed(number));
  CO_TRY_VOID(half(*box / 2));
  co_return *box;
}

TEST(Result, TryGivesTheValue) {
  int out = 0;
  EXPECT_TRUE(quarter(12, out));
  EXPECT_EQ(out, 3);
}

TEST(Result, TryReturnsTheFirstError) {
  int out = 0;
  auto result = quarter(6, out);
  EXPECT_EQ(result.code(), Errc::invalid);
  EXPECT_EQ(result.error().text(), "invalid: odd");
  EXPECT_EQ(out, 0);
}

TEST(Result, TryMovesWhatCannotBeCopied) {
  auto box = boxed(4);
  ASSERT_TRUE(box);
  EXPECT_EQ(**box, 4);
  EXPECT_EQ(boxed(5).code(), Errc::invalid);
}

TEST(Result, CoTryInCoroutines) {
  asio::io_context io;
  EXPECT_EQ(*run_to_end(io, unboxed(8)), 8);
  EXPECT_EQ(run_to_end(io, unboxed(7)).code(), Errc::invalid);
  EXPECT_EQ(run_to_end(io, unboxed(6)).code(), Errc::invalid);
}

TEST(Errc, NamesAndErrnos) {
  EXPECT_EQ(name_of(Errc::timed_out), "timed_out");
  EXPECT_EQ(errno_of(Errc::not_found), ENOENT);
  EXPECT_EQ(errno_of(Errc::ok), 0);
}

TEST(Errc, NumberFromANewerPeerIsAnIoError) {
  EXPECT_EQ(name_of(static_cast<Errc>(9999)), "unknown");
  EXPECT_EQ(errno_of(static_cast<Errc>(9999)), EIO);
}

}  // namespace
}  // namespace chordfs
