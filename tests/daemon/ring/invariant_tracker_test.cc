#include "daemon/ring/invariant_tracker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/daemon/ring/positions.h"

namespace chordfs {
namespace {

using test::at;
using test::key;
using test::places;
using test::view;

constexpr int kNodes = 2;

std::vector<std::string> texts(const std::vector<Violation>& violations, bool of_c17) {
  std::vector<std::string> texts;
  for (const Violation& v : violations)
    if ((v.rule == "C17") == of_c17) texts.push_back(of_c17 ? v.what.substr(0, 8) : v.rule + ": " + v.what);
  return texts;
}

/// A ring that something happens to at random: mostly what may happen to a ring in order, now and then anything.
class RandomHistory {
 public:
  explicit RandomHistory(std::uint64_t seed) : random_(seed), wild_(below(4) == 0 ? 5 : 60) {}

  void step(InvariantTracker& tracker) {
    const int place = static_cast<int>(below(12)) * 20;
    switch (below(8)) {
      case 0:
        live_.erase(place);
        return tracker.gone(key(place));
      case 1:
        if (live_.empty()) return;
        carried_.push_back(++number_);
        return tracker.carry(number_, some_view(any_live()));
      case 2:
        if (carried_.empty()) return;
        tracker.drop(carried_.back());
        return carried_.pop_back();
      default:
        live_.insert(place);
        tracker.member(some_view(place));
    }
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  int any_live() { return *std::next(live_.begin(), static_cast<std::ptrdiff_t>(below(live_.size()))); }

  View some_view(int place) {
    std::vector<int> list;
    if (below(wild_) == 0) {
      for (auto n = below(4); n > 0; --n) list.push_back(static_cast<int>(below(12)) * 20);
      return view(place, any_live(), list);
    }
    std::vector<int> others(live_.upper_bound(place), live_.end());
    others.insert(others.end(), live_.begin(), live_.lower_bound(place));
    list.assign(others.begin(), others.begin() + std::min<std::ptrdiff_t>(kNodes, std::ssize(others)));
    return view(place, others.empty() ? place : others.back(), list);
  }

  std::mt19937_64 random_;
  std::uint64_t wild_;
  std::set<int> live_;
  std::vector<InvariantTracker::Carried> carried_;
  InvariantTracker::Carried number_ = 0;
};

class Tracker : public testing::TestWithParam<RingMode> {};

TEST_P(Tracker, SaysWhatTheFullCheckSays) {
  std::uint64_t checks = 0, by_itself = 0, broken = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    InvariantTracker tracker(kNodes);
    RandomHistory history(seed);
    std::map<Id, bool> before;  // Members at the last check: were they principals?
    std::set<Id> away;
    for (int step = 0; step < 200; ++step) {
      history.step(tracker);
      const auto snapshot = tracker.snapshot();
      auto full = check_invariant(snapshot, GetParam());
      auto quick = tracker.check(GetParam());
      ASSERT_EQ(texts(quick, false), texts(full, false)) << "seed " << seed << " step " << step;
      ++checks;
      broken += !full.empty();

      // C17 from scratch: was one, has never been away, and is one no more.
      std::map<Id, bool> now;
      for (const View& member : snapshot.live) now[member.self.id] = false;
      for (const Position& p : principals(snapshot)) now[p.id] = true;
      std::vector<std::string> fallen;
      for (const auto& [id, was] : before) {
        if (!now.contains(id)) away.insert(id);
        if (was && now.contains(id) && !now[id] && !away.contains(id)) fallen.push_back(id.brief());
      }
      if (GetParam() == RingMode::small) fallen.clear();
      auto found = texts(quick, true);
      std::ranges::sort(found);
      ASSERT_EQ(found, fallen) << "seed " << seed << " step " << step;
      ASSERT_EQ(tracker.principal_nodes(), nodes_of(principals(snapshot)));
      before = std::move(now);
    }
    by_itself += 200 - tracker.full_checks();
  }
  EXPECT_GT(broken, checks / 20);
  EXPECT_GT(by_itself, checks / 5);
}

INSTANTIATE_TEST_SUITE_P(Modes, Tracker, testing::Values(RingMode::small, RingMode::ordinary),
                         [](const auto& info) { return info.param == RingMode::small ? "small" : "ordinary"; });

/// The ideal ring of four with lists of two.
InvariantTracker ring_of_four() {
  InvariantTracker tracker(kNodes);
  for (int i = 0; i < 4; ++i) tracker.member(view(i * 50, (i + 3) % 4 * 50, {(i + 1) % 4 * 50, (i + 2) % 4 * 50}));
  EXPECT_EQ(text_of(tracker.check(RingMode::ordinary)), "");
  return tracker;
}

TEST(InvariantTracker, FindsAListUnderWayWithNobodyAlive) {
  auto tracker = ring_of_four();
  tracker.carry(1, view(0, 150, {30, 40}));
  auto broken = tracker.check(RingMode::ordinary);
  ASSERT_FALSE(broken.empty());
  EXPECT_EQ(broken.front().rule, "C6");
  tracker.drop(1);
  EXPECT_EQ(text_of(tracker.check(RingMode::ordinary)), "");
}

TEST(InvariantTracker, FindsAPrincipalSkippedByAListUnderWay) {
  auto tracker = ring_of_four();
  tracker.carry(1, view(0, 150, {100, 150}));
  auto broken = tracker.check(RingMode::ordinary);
  ASSERT_EQ(broken.size(), 1U) << text_of(broken);
  EXPECT_EQ(broken.front().rule, "C17");
  EXPECT_EQ(tracker.principal_nodes(), 3);
}

TEST(InvariantTracker, CopesWithManyMembersCheaply) {
  // Nothing here is quadratic: a full check at each of these changes would take minutes.
  InvariantTracker tracker(kNodes);
  auto place = [](int n) { return Id::from_top(static_cast<std::uint64_t>(n + 1) << 40); };
  auto self = [&](int n) {
    return Position{place(n), Uuid(9, static_cast<std::uint64_t>(n) + 1), 0, {"10.0.0.1", 6000}};
  };
  constexpr int kMembers = 2000;
  auto whole = [&](int n, int skip) {
    return View{self(n),
                self((n + kMembers - 1) % kMembers),
                {self((n + 1 + skip) % kMembers), self((n + 2 + skip) % kMembers)}};
  };
  for (int n = 0; n < kMembers; ++n) tracker.member(whole(n, 0));
  tracker.check(RingMode::small);
  const auto before = tracker.full_checks();
  for (int n = 0; n < kMembers; ++n) {
    tracker.member(whole(n, 1));
    EXPECT_EQ(tracker.check(RingMode::ordinary).size(), 1U) << "C17 of " << n + 1;
    tracker.member(whole(n, 0));
    EXPECT_EQ(text_of(tracker.check(RingMode::ordinary)), "");
  }
  EXPECT_EQ(tracker.full_checks(), before);
}

}  // namespace
}  // namespace chordfs
