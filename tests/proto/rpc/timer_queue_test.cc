#include "proto/rpc/timer_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace chordfs {
namespace {

Time at(int number) {
  return Time(Duration(number));
}

class TimerQueueTest : public ::testing::Test {
 protected:
  TimerQueue::TimerId add(int when, int name) {
    return timers_.add(at(when), [this, name] { ran_.push_back(name); });
  }
  TimerQueue timers_;
  std::vector<int> ran_;
};

TEST_F(TimerQueueTest, RunsWhatIsDueInOrderOfTime) {
  add(30, 3);
  add(10, 1);
  add(20, 2);
  EXPECT_EQ(timers_.first(), at(10));
  timers_.run_due(at(20));
  EXPECT_EQ(ran_, (std::vector{1, 2}));
  EXPECT_EQ(timers_.size(), 1U);
}

TEST_F(TimerQueueTest, EqualTimesRunInOrderOfTheirMaking) {
  std::vector<int> names;
  for (int i = 0; i < 100; ++i) {
    add(5, i);
    names.push_back(i);
  }
  timers_.run_due(at(5));
  EXPECT_EQ(ran_, names);
}

TEST_F(TimerQueueTest, CancelIsHarmlessAfterwards) {
  auto first = add(1, 1);
  auto second = add(2, 2);
  timers_.cancel(first);
  timers_.cancel(first);
  auto reuses_the_slot = add(3, 3);
  timers_.cancel(first);
  timers_.cancel(0);
  timers_.run_due(at(9));
  EXPECT_EQ(ran_, (std::vector{2, 3}));
  timers_.cancel(second);
  timers_.cancel(reuses_the_slot);
  EXPECT_TRUE(timers_.empty());
}

TEST_F(TimerQueueTest, TimerThatAddsItselfWaitsForTheNextRun) {
  std::function<void()> again = [&] {
    ran_.push_back(1);
    timers_.add(at(0), [&] { again(); });
  };
  again();
  timers_.run_due(at(5));
  timers_.run_due(at(5));
  EXPECT_EQ(ran_, (std::vector{1, 1, 1}));
}

TEST_F(TimerQueueTest, CallbackMayCancelAnotherThatIsDue) {
  TimerQueue::TimerId second = 0;
  timers_.add(at(1), [&] { timers_.cancel(second); });
  second = add(2, 2);
  timers_.run_due(at(5));
  EXPECT_TRUE(ran_.empty());
}

TEST_F(TimerQueueTest, AgreesWithASortedMap) {
  std::mt19937 random(7);
  std::multimap<int, int> expected;  // Equal keys keep the order of insertion.
  std::map<int, TimerQueue::TimerId> ids;
  for (int name = 0; name < 5000; ++name) {
    const int when = static_cast<int>(random() % 300);
    ids[name] = add(when, name);
    auto entry = expected.emplace(when, name);
    if (random() % 2 == 0) {
      timers_.cancel(ids[name]);
      expected.erase(entry);
    } else if (random() % 3 == 0 && !expected.empty()) {
      auto victim = std::next(expected.begin(), static_cast<long>(random() % expected.size()));
      timers_.cancel(ids[victim->second]);
      expected.erase(victim);
    }
  }
  std::vector<int> names;
  for (const auto& [when, name] : expected) names.push_back(name);
  timers_.run_due(at(1000));
  EXPECT_EQ(ran_, names);
}

}  // namespace
}  // namespace chordfs
