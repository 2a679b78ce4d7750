#include "proto/base/task.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <vector>

#include "proto/rpc/asio_runtime.h"

namespace chordfs {
namespace {

class TaskTest : public ::testing::Test {
 public:
  void run(awaitable<void> scenario) { run_to_end(io_, std::move(scenario)); }
  /// Lets everything that is ready run, once or more.
  static awaitable<void> turns(int count = 8) {
    for (int i = 0; i < count; ++i) co_await asio::post(asio::use_awaitable);
  }

  asio::io_context io_{1};
  AsioRuntime runtime_{io_};
  std::vector<int> seen_;
};

// ---- OneShot

class OneShotTest : public TaskTest {
 public:
  awaitable<void> take(OneShot<int> shot) { seen_.push_back(co_await shot.wait()); }
  awaitable<void> take_or_note_cancel(OneShot<int> shot) {
    bool cancelled = false;
    try {
      seen_.push_back(co_await shot.wait());
    } catch (const boost::system::system_error& error) {
      cancelled = error.code() == asio::error::operation_aborted;
    }
    if (cancelled) seen_.push_back(-1);
  }
};

TEST_F(OneShotTest, ValueBeforeTheWait) {
  run([](OneShotTest* t) -> awaitable<void> {
    OneShot<int> shot;
    EXPECT_FALSE(shot.ready());
    shot.set(7);
    EXPECT_TRUE(shot.ready());
    EXPECT_EQ(co_await shot.wait(), 7);
    EXPECT_EQ(t->seen_.size(), 0U);
  }(this));
}

TEST_F(OneShotTest, FirstValueCountsAndWakesInALaterTurn) {
  run([](OneShotTest* t) -> awaitable<void> {
    TaskGroup tasks(t->runtime_);
    OneShot<int> shot;
    tasks.spawn("take", t->take(shot));
    shot.set(1);
    shot.set(2);
    EXPECT_TRUE(t->seen_.empty());
    co_await tasks.join();
    EXPECT_EQ(t->seen_, std::vector{1});
  }(this));
}

TEST_F(OneShotTest, WaitForGivesNothingWhenTimeIsUp) {
  run([](OneShotTest* t) -> awaitable<void> {
    OneShot<int> shot;
    const auto begun = t->runtime_.now();
    EXPECT_FALSE((co_await shot.wait_for(t->runtime_, 2ms)).has_value());
    EXPECT_GE(t->runtime_.now() - begun, 2ms);
    shot.set(3);  // Late values are kept for the next wait.
    EXPECT_EQ(co_await shot.wait_for(t->runtime_, 2ms), 3);
  }(this));
}

TEST_F(OneShotTest, ValueInTheSameTurnAsTheTimeoutIsDelivered) {
  run([](OneShotTest* t) -> awaitable<void> {
    OneShot<int> shot;
    // Two timers of one moment run in one turn: first the wait's, then the one that sets.
    TaskGroup tasks(t->runtime_);
    tasks.spawn("wait", [](OneShotTest* test, OneShot<int> s) -> awaitable<void> {
      auto value = co_await s.wait_for(test->runtime_, Duration::zero());
      test->seen_.push_back(value.value_or(-1));
    }(t, shot));
    t->runtime_.schedule(t->runtime_.now(), [shot] { shot.set(5); });
    co_await tasks.join();
    EXPECT_EQ(t->seen_, std::vector{5});
  }(this));
}

TEST_F(OneShotTest, CancelledWaiterThrowsAndTheValueIsDropped) {
  run([](OneShotTest* t) -> awaitable<void> {
    TaskGroup tasks(t->runtime_);
    OneShot<int> shot;
    tasks.spawn("take", t->take_or_note_cancel(shot));
    co_await turns();
    tasks.stop();
    shot.set(4);
    co_await tasks.join();
    EXPECT_EQ(t->seen_, std::vector{-1});
    EXPECT_TRUE(shot.abandoned());
  }(this));
}

TEST_F(OneShotTest, CancelAfterTheValueComesTooLate) {
  run([](OneShotTest* t) -> awaitable<void> {
    TaskGroup tasks(t->runtime_);
    OneShot<int> shot;
    tasks.spawn("take", t->take_or_note_cancel(shot));
    co_await turns();
    shot.set(4);
    tasks.stop();
    co_await tasks.join();
    EXPECT_EQ(t->seen_, std::vector{4});
  }(this));
}

// ---- Signal

class SignalTest : public TaskTest {
 public:
  awaitable<void> note(Signal* signal, int number) {
    co_await signal->wait();
    seen_.push_back(number);
  }
};

TEST_F(SignalTest, WakesAllWhoWaitInOrder) {
  run([](SignalTest* t) -> awaitable<void> {
    TaskGroup tasks(t->runtime_);
    Signal signal;
    for (int i = 0; i < 4; ++i) tasks.spawn("note", t->note(&signal, i));
    signal.notify_all();
    co_await tasks.join();
    EXPECT_EQ(t->seen_, (std::vector{0, 1, 2, 3}));
  }(this));
}

TEST_F(SignalTest, RemembersNothing) {
  run([](SignalTest* t) -> awaitable<void> {
    Signal signal;
    signal.notify_all();
    EXPECT_FALSE(co_await signal.wait_for(t->runtime_, 1ms));
  }(this));
}

TEST_F(SignalTest, ManyWaitsThatTimeOutLeaveNothingBehind) {
  run([](SignalTest* t) -> awaitable<void> {
    Signal signal;
    for (int i = 0; i < 1000; ++i) EXPECT_FALSE(co_await signal.wait_for(t->runtime_, Duration::zero()));
    TaskGroup tasks(t->runtime_);
    for (int i = 0; i < 300; ++i) tasks.spawn("note", t->note(&signal, i));
    signal.notify_all();
    co_await tasks.join();
    EXPECT_EQ(t->seen_.size(), 300U);
  }(this));
}

// ---- TaskGroup

class TaskGroupTest : public TaskTest {
 public:
  awaitable<void> sleep_long(int number) {
    struct Note {
      std::vector<int>& seen;
      int number;
      ~Note() { seen.push_back(number); }
    } note{seen_, number};
    co_await runtime_.sleep(1h);
    ADD_FAILURE() << "was not cancelled";
  }
  awaitable<void> sleep_then_note(Duration duration, int number) {
    co_await runtime_.sleep(duration);
    seen_.push_back(number);
  }
  awaitable<void> join_then_sleep(TaskGroup* inner) {
    co_await inner->join();
    seen_.push_back(1);
    co_await runtime_.sleep(1h);
    ADD_FAILURE() << "was not cancelled";
  }
};

TEST_F(TaskGroupTest, JoinWaitsForAll) {
  run([](TaskGroupTest* t) -> awaitable<void> {
    TaskGroup tasks(t->runtime_);
    tasks.spawn("b", t->sleep_then_note(4ms, 2));
    tasks.spawn("a", t->sleep_then_note(2ms, 1));
    EXPECT_EQ(tasks.size(), 2U);
    co_await tasks.join();
    EXPECT_EQ(tasks.size(), 0U);
    EXPECT_EQ(t->seen_, (std::vector{1, 2}));
  }(this));
}

TEST_F(TaskGroupTest, StopCancelsWaitingAndFreshTasks) {
  run([](TaskGroupTest* t) -> awaitable<void> {
    TaskGroup tasks(t->runtime_);
    tasks.spawn("waiting", t->sleep_long(1));
    co_await turns();
    tasks.spawn("fresh", t->sleep_long(2));
    tasks.stop();
    EXPECT_TRUE(tasks.stopping());
    co_await tasks.join();
    EXPECT_EQ(t->seen_, (std::vector{1, 2}));
  }(this));
}

TEST_F(TaskGroupTest, SpawnAfterStopIsDropped) {
  run([](TaskGroupTest* t) -> awaitable<void> {
    TaskGroup tasks(t->runtime_);
    tasks.stop();
    tasks.spawn("late", t->sleep_long(1));
    EXPECT_EQ(tasks.size(), 0U);
    co_await tasks.join();
    EXPECT_TRUE(t->seen_.empty());
  }(this));
}

TEST_F(TaskGroupTest, CancelDuringJoinTakesEffectAfterIt) {
  run([](TaskGroupTest* t) -> awaitable<void> {
    TaskGroup inner(t->runtime_);
    TaskGroup outer(t->runtime_);
    inner.spawn("work", t->sleep_then_note(2ms, 0));
    outer.spawn("join", t->join_then_sleep(&inner));
    outer.stop();
    co_await outer.join();
    EXPECT_EQ(t->seen_, (std::vector{0, 1}));
    co_await inner.join();
  }(this));
}

TEST_F(TaskGroupTest, OtherExceptionsAreBugs) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  auto fail = [this] {
    run([](TaskGroupTest* t) -> awaitable<void> {
      TaskGroup tasks(t->runtime_);
      tasks.spawn("bad", []() -> awaitable<void> {
        co_await turns(1);
        throw std::runtime_error("oops");
      }());
      co_await tasks.join();
    }(this));
  };
  EXPECT_DEATH(fail(), "");
}

// ---- Semaphore

class SemaphoreTest : public TaskTest {
 public:
  awaitable<void> hold_and_note(Semaphore* places, int number) {
    auto hold = co_await places->acquire();
    ++inside_;
    most_inside_ = std::max(most_inside_, inside_);
    seen_.push_back(number);
    co_await turns(2);
    --inside_;
  }
  int inside_ = 0;
  int most_inside_ = 0;
};

TEST_F(SemaphoreTest, AdmitsInOrderOfArrivalAndNeverTooMany) {
  run([](SemaphoreTest* t) -> awaitable<void> {
    Semaphore places(3);
    TaskGroup tasks(t->runtime_);
    std::vector<int> all;
    for (int i = 0; i < 20; ++i) {
      tasks.spawn("hold", t->hold_and_note(&places, i));
      all.push_back(i);
    }
    co_await tasks.join();
    EXPECT_EQ(t->seen_, all);
    EXPECT_EQ(t->most_inside_, 3);
  }(this));
}

TEST_F(SemaphoreTest, NewcomerDoesNotOvertakeTheOneWhoWaits) {
  run([](SemaphoreTest* t) -> awaitable<void> {
    Semaphore places(1);
    TaskGroup tasks(t->runtime_);
    std::optional<Semaphore::Hold> hold(co_await places.acquire());
    tasks.spawn("first", t->hold_and_note(&places, 1));
    hold.reset();
    tasks.spawn("second", t->hold_and_note(&places, 2));
    co_await tasks.join();
    EXPECT_EQ(t->seen_, (std::vector{1, 2}));
  }(this));
}

TEST_F(SemaphoreTest, PlaceOfACancelledWaiterIsNotLost) {
  run([](SemaphoreTest* t) -> awaitable<void> {
    Semaphore places(1);
    TaskGroup waiting(t->runtime_);
    TaskGroup other(t->runtime_);
    std::optional<Semaphore::Hold> hold(co_await places.acquire());
    waiting.spawn("waits", t->hold_and_note(&places, 1));
    other.spawn("behind", t->hold_and_note(&places, 2));
    waiting.stop();
    hold.reset();
    co_await waiting.join();
    co_await other.join();
    EXPECT_EQ(t->seen_, std::vector{2});
    auto again = co_await places.acquire();
  }(this));
}

TEST_F(SemaphoreTest, PlaceGivenToOneWhoIsCancelledInTheSameTurnIsPassedOn) {
  run([](SemaphoreTest* t) -> awaitable<void> {
    Semaphore places(1);
    TaskGroup waiting(t->runtime_);
    std::optional<Semaphore::Hold> hold(co_await places.acquire());
    waiting.spawn("waits", t->hold_and_note(&places, 1));
    hold.reset();
    waiting.stop();
    co_await waiting.join();
    auto again = co_await places.acquire();
  }(this));
}

}  // namespace
}  // namespace chordfs
