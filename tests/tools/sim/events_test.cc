#include "tools/sim/events.h"

#include <gtest/gtest.h>

#include <string>

namespace chordfs {

namespace {
struct Events : testing::Test {
  EventQueue::Id add(Duration at, char what) {
    return queue.add(Time(at), {}, [this, what] { seen += what; });
  }
  void run() {
    while (queue.next()) queue.take(queue.pop())();
  }
  EventQueue queue;
  std::string seen;
};
}  // namespace

TEST_F(Events, ComeInOrderOfTimeThenOfInsertion) {
  add(2ns, 'c');
  add(1ns, 'a');
  add(2ns, 'd');
  add(1ns, 'b');
  run();
  EXPECT_EQ(seen, "abcd");
}

TEST_F(Events, CancelledOnesDoNotHappen) {
  add(1ns, 'a');
  const auto id = add(2ns, 'b');
  add(3ns, 'c');
  queue.cancel(id);
  queue.cancel(id);
  run();
  EXPECT_EQ(seen, "ac");
}

TEST_F(Events, CancelAfterHappeningStrikesNobodyElse) {
  const auto id = add(1ns, 'a');
  run();
  add(1ns, 'b');  // Takes the same slot.
  queue.cancel(id);
  run();
  EXPECT_EQ(seen, "ab");
}

TEST_F(Events, ManyCancelledOnesAreSweptAway) {
  add(5ns, 'z');
  for (int i = 0; i < 10'000; ++i) queue.cancel(add(Duration(i % 7), 'x'));
  EXPECT_LT(queue.size(), 2500u);
  add(4ns, 'y');
  run();
  EXPECT_EQ(seen, "yz");
}

}  // namespace chordfs
