#include "tools/sim/linearizable.h"

#include <gtest/gtest.h>

#include "tools/sim/rng.h"

namespace chordfs {

namespace {
using Kind = RegisterOperation::Kind;

struct Histories : testing::Test {
  History::Id write(std::uint32_t client, std::string value, std::string key = "k") {
    return history.invoke(tick(), {client, Kind::write, std::move(key), std::move(value)});
  }
  History::Id read(std::uint32_t client, std::string key = "k") {
    return history.invoke(tick(), {client, Kind::read, std::move(key)});
  }
  History::Id cas(std::uint32_t client, std::string expected, std::string value) {
    return history.invoke(tick(), {client, Kind::cas, "k", std::move(value), std::move(expected)});
  }
  void wrote(History::Id id) { history.returned(tick(), id); }
  void was_read(History::Id id, std::string value) { history.returned_read(tick(), id, std::move(value)); }
  void did_cas(History::Id id, bool swapped) { history.returned_cas(tick(), id, swapped); }
  Verdict::Outcome outcome() const { return check_linearizable(history).outcome; }
  Time tick() { return now += 1ms; }

  static constexpr auto kGood = Verdict::Outcome::linearizable;
  static constexpr auto kBad = Verdict::Outcome::violated;
  History history;
  Time now{};
};
}  // namespace

TEST_F(Histories, EmptyIsGood) {
  EXPECT_EQ(outcome(), kGood);
}

TEST_F(Histories, SequentialIsGood) {
  was_read(read(1), "");
  wrote(write(1, "a"));
  was_read(read(2), "a");
  EXPECT_EQ(outcome(), kGood);
}

TEST_F(Histories, StaleReadIsBad) {
  wrote(write(1, "a"));
  wrote(write(1, "b"));
  was_read(read(2), "a");
  const auto verdict = check_linearizable(history);
  EXPECT_EQ(verdict.outcome, kBad);
  EXPECT_NE(verdict.explanation.find("client 2   read \"a\""), std::string::npos) << verdict.explanation;
}

TEST_F(Histories, ReadDuringAWriteMaySeeEither) {
  wrote(write(1, "a"));
  const auto w = write(1, "b");
  was_read(read(2), "a");
  was_read(read(3), "b");
  wrote(w);
  EXPECT_EQ(outcome(), kGood);
}

TEST_F(Histories, NewThenOldDuringOneWriteIsBad) {
  wrote(write(1, "a"));
  const auto w = write(1, "b");
  was_read(read(2), "b");
  was_read(read(3), "a");
  wrote(w);
  EXPECT_EQ(outcome(), kBad);
}

TEST_F(Histories, ReadOfWhatNobodyWroteIsBad) {
  wrote(write(1, "a"));
  was_read(read(2), "z");
  EXPECT_EQ(outcome(), kBad);
}

TEST_F(Histories, UnknownWriteMayTakeEffectMuchLater) {
  write(1, "a");  // Never returns.
  wrote(write(2, "b"));
  was_read(read(2), "b");
  was_read(read(2), "a");
  was_read(read(2), "a");
  EXPECT_EQ(outcome(), kGood);
}

TEST_F(Histories, UnknownWriteTakesEffectOnce) {
  write(1, "a");
  was_read(read(2), "a");
  wrote(write(2, "b"));
  was_read(read(2), "a");
  EXPECT_EQ(outcome(), kBad);
}

TEST_F(Histories, UnknownWriteMayNeverHappen) {
  wrote(write(2, "b"));
  write(1, "a");
  was_read(read(2), "b");
  EXPECT_EQ(outcome(), kGood);
}

TEST_F(Histories, ForgottenWriteMustNotBeSeen) {
  history.forget(write(1, "a"));
  was_read(read(2), "a");
  EXPECT_EQ(outcome(), kBad);
}

TEST_F(Histories, OnlyOneOfTwoSwapsSucceeds) {
  wrote(write(1, "a"));
  const auto first = cas(1, "a", "b"), second = cas(2, "a", "c");
  did_cas(first, true);
  did_cas(second, false);
  EXPECT_EQ(outcome(), kGood);
}

TEST_F(Histories, TwoSwapsFromOneValueAreBad) {
  wrote(write(1, "a"));
  const auto first = cas(1, "a", "b"), second = cas(2, "a", "c");
  did_cas(first, true);
  did_cas(second, true);
  EXPECT_EQ(outcome(), kBad);
}

TEST_F(Histories, FailedSwapProvesThatTheValueWasAnother) {
  wrote(write(1, "a"));
  did_cas(cas(2, "a", "b"), false);
  EXPECT_EQ(outcome(), kBad);
}

TEST_F(Histories, UnseenUnknownWriteExplainsAFailedSwap) {
  wrote(write(1, "a"));
  write(3, "unseen");
  did_cas(cas(2, "a", "b"), false);
  EXPECT_EQ(outcome(), kGood);
}

TEST_F(Histories, UnknownSwapMayHaveHappened) {
  wrote(write(1, "a"));
  cas(1, "a", "b");
  was_read(read(2), "b");
  EXPECT_EQ(outcome(), kGood);
  was_read(read(2), "a");
  EXPECT_EQ(outcome(), kBad);
}

TEST_F(Histories, RegistersAreIndependent) {
  wrote(write(1, "a", "x"));
  was_read(read(1, "y"), "");
  EXPECT_EQ(outcome(), kGood);
  was_read(read(1, "x"), "");
  const auto verdict = check_linearizable(history);
  EXPECT_EQ(verdict.outcome, kBad);
  EXPECT_TRUE(verdict.explanation.starts_with("register \"x\"")) << verdict.explanation;
}

TEST_F(Histories, ExplanationLeavesOutWhatDoesNotMatter) {
  for (int i = 0; i < 50; ++i) {
    wrote(write(1, "v" + std::to_string(i)));
    was_read(read(2), "v" + std::to_string(i));
  }
  was_read(read(3), "v7");
  for (int i = 100; i < 150; ++i) wrote(write(1, "v" + std::to_string(i)));
  const auto verdict = check_linearizable(history);
  EXPECT_EQ(verdict.outcome, kBad);
  EXPECT_EQ(verdict.explanation.find("v100"), std::string::npos) << "only the prefix";
  EXPECT_EQ(verdict.explanation.find("client 2"), std::string::npos) << "no read but the bad one";
}

// A real register under many clients: every history is good; with one read falsified, it is bad.
TEST(LinearizableRandom, TrueHistoriesAreGoodAndFalsifiedOnesBad) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Rng rng(seed);
    History history, falsified;
    std::string value;
    struct Open {
      History::Id id;
      RegisterOperation operation;
      bool done = false;
      std::string seen;
    };
    std::vector<Open> open;
    const auto lie_at = 200 + rng.below(100);
    for (std::uint64_t step = 0; step < 600; ++step) {
      const Time now(Duration(step * 1000));
      if (open.size() < 6 && rng.chance(0.5)) {
        RegisterOperation operation{.client = static_cast<std::uint32_t>(rng.below(9)),
                                    .kind = rng.chance(0.5) ? Kind::read : Kind::write,
                                    .key = "k"};
        if (operation.kind == Kind::write) operation.value = "v" + std::to_string(step);
        falsified.invoke(now, operation);
        open.push_back({history.invoke(now, operation), operation, false, {}});
        continue;
      }
      if (open.empty()) continue;
      const auto at = rng.below(open.size());
      auto& chosen = open[at];
      if (!chosen.done) {
        if (chosen.operation.kind == Kind::write) value = chosen.operation.value;
        chosen.seen = value;
        chosen.done = true;
        if (chosen.operation.kind == Kind::read || !rng.chance(0.03)) continue;
      } else if (chosen.operation.kind == Kind::read) {
        history.returned_read(now, chosen.id, chosen.seen);
        falsified.returned_read(now, chosen.id, step >= lie_at ? "v-lie" : chosen.seen);
      } else {
        history.returned(now, chosen.id);
        falsified.returned(now, chosen.id);
      }
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
    }
    EXPECT_TRUE(check_linearizable(history).ok()) << "seed " << seed << "\n" << check_linearizable(history).explanation;
    EXPECT_EQ(check_linearizable(falsified).outcome, Verdict::Outcome::violated) << "seed " << seed;
  }
}

}  // namespace chordfs
