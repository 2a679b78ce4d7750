#include "proto/rpc/asio_runtime.h"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <set>
#include <thread>

#include "proto/base/task.h"

namespace chordfs {
namespace {

class AsioRuntimeTest : public ::testing::Test {
 public:
  void run(awaitable<void> scenario) { run_to_end(io_, std::move(scenario)); }
  asio::io_context io_{1};
  AsioRuntime runtime_{io_};
  std::vector<int> seen_;
};

TEST_F(AsioRuntimeTest, SleepTakesItsTime) {
  run([](AsioRuntime* runtime) -> awaitable<void> {
    const auto begun = runtime->now();
    co_await runtime->sleep(5ms);
    EXPECT_GE(runtime->now() - begun, 5ms);
  }(&runtime_));
}

TEST_F(AsioRuntimeTest, TimerInThePastRunsInALaterTurn) {
  run([](AsioRuntimeTest* t) -> awaitable<void> {
    OneShot<Nothing> done;
    t->runtime_.schedule(t->runtime_.now() - 1s, [t, done] {
      t->seen_.push_back(2);
      done.set({});
    });
    t->seen_.push_back(1);
    co_await done.wait();
    EXPECT_EQ(t->seen_, (std::vector{1, 2}));
  }(this));
}

TEST_F(AsioRuntimeTest, EarlierTimerAddedLaterRunsFirst) {
  run([](AsioRuntimeTest* t) -> awaitable<void> {
    const auto begun = t->runtime_.now();
    OneShot<Nothing> done;
    t->runtime_.schedule(begun + 6ms, [t, done] {
      t->seen_.push_back(2);
      done.set({});
    });
    t->runtime_.schedule(begun + 2ms, [t] { t->seen_.push_back(1); });
    auto cancelled = t->runtime_.schedule(begun + 1ms, [t] { t->seen_.push_back(0); });
    t->runtime_.cancel(cancelled);
    co_await done.wait();
    EXPECT_EQ(t->seen_, (std::vector{1, 2}));
  }(this));
}

TEST_F(AsioRuntimeTest, RandomNumbersDiffer) {
  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 2000; ++i) numbers.insert(runtime_.random());
  EXPECT_EQ(numbers.size(), 2000U);
}

TEST_F(AsioRuntimeTest, BelowStaysBelow) {
  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 2000; ++i) numbers.insert(runtime_.below(7));
  EXPECT_EQ(numbers, (std::set<std::uint64_t>{0, 1, 2, 3, 4, 5, 6}));
}

TEST_F(AsioRuntimeTest, WallClockIsOfThisCentury) {
  EXPECT_GT(runtime_.wall_now(), 1'600'000'000'000'000'000);
  EXPECT_LT(runtime_.wall_now(), 4'000'000'000'000'000'000);
}

TEST_F(AsioRuntimeTest, OtherThreadsHandWorkOver) {
  run([](AsioRuntimeTest* t) -> awaitable<void> {
    OneShot<std::thread::id> done;
    std::thread other(
        [t, &done] { asio::post(t->runtime_.executor(), [done] { done.set(std::this_thread::get_id()); }); });
    EXPECT_EQ(co_await done.wait(), std::this_thread::get_id());
    other.join();
  }(this));
}

TEST_F(AsioRuntimeTest, RunToEndThrowsWhatTheTaskThrows) {
  auto fail = []() -> awaitable<int> {
    throw std::runtime_error("oops");
    co_return 1;
  };
  EXPECT_THROW(run_to_end(io_, fail()), std::runtime_error);
}

}  // namespace
}  // namespace chordfs
