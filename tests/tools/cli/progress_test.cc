#include "tools/cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chordfs::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::uint64_t kMiB = 1U << 20;
Time at(Duration since) {
  return Time{} + 1h + since;
}

TEST(Progress, ShowsBytesShareRateAndTimeLeft) {
  Progress progress("report.pdf", 40 * kMiB, at(0s));
  progress.reached(10 * kMiB, at(2s));
  EXPECT_EQ(progress.line(200), "report.pdf  10.0 MiB of 40.0 MiB   25% [=====>              ]  5.0 MiB/s  0:06 left");
}

TEST(Progress, AtTheEndTheBarIsFull) {
  Progress progress("f", 4 * kMiB, at(0s));
  progress.reached(4 * kMiB, at(1s));
  EXPECT_EQ(progress.line(200), "f  4.0 MiB of 4.0 MiB  100% [====================]  4.0 MiB/s  0:00 left");
}

TEST(Progress, UnknownTotalHasNoShareAndNoTimeLeft) {
  Progress progress("-", std::nullopt, at(0s));
  progress.reached(2 * kMiB, at(1s));
  EXPECT_EQ(progress.line(200), "-  2.0 MiB  2.0 MiB/s");
}

TEST(Progress, NothingIsForecastBeforeTimeHasPassed) {
  Progress progress("f", kMiB, at(0s));
  EXPECT_FALSE(progress.rate());
  EXPECT_FALSE(progress.left());
  progress.reached(0, at(5s));
  EXPECT_EQ(progress.rate(), 0);
  EXPECT_FALSE(progress.left());
}

TEST(Progress, RateIsThatOfTheLastSeconds) {
  Progress progress("f", 1000 * kMiB, at(0s));
  for (int second = 1; second <= 20; ++second)
    progress.reached(static_cast<std::uint64_t>(second) * 10 * kMiB, at(second * 1s));
  for (int second = 21; second <= 30; ++second)
    progress.reached(200 * kMiB + static_cast<std::uint64_t>(second - 20) * kMiB, at(second * 1s));
  EXPECT_NEAR(*progress.rate(), static_cast<double>(kMiB), 1);
}

TEST(Progress, ManyReportsInOneMomentAreOneSample) {
  Progress progress("f", 1000 * kMiB, at(0s));
  for (int i = 1; i <= 1000; ++i) progress.reached(static_cast<std::uint64_t>(i) * kMiB, at(i * 10ms));
  EXPECT_NEAR(*progress.rate(), 100.0 * kMiB, 10.0 * kMiB);
}

TEST(Progress, WhatWasThereBeforeCountsForTheShareNotForTheRate) {
  Progress progress("f", 10 * kMiB, at(0s));
  progress.begin_at(8 * kMiB, at(0s));
  progress.reached(9 * kMiB, at(1s));
  EXPECT_NEAR(*progress.rate(), static_cast<double>(kMiB), 1);
  EXPECT_THAT(progress.line(200), HasSubstr(" 90% "));
}

TEST(Progress, FileThatGrewIsNotOverAHundredPercent) {
  Progress progress("f", kMiB, at(0s));
  progress.reached(3 * kMiB, at(1s));
  EXPECT_THAT(progress.line(200), HasSubstr("100% [====================]"));
}

TEST(Progress, ForecastOfYearsIsLeftOut) {
  Progress progress("f", std::uint64_t{1} << 62, at(0s));
  progress.reached(1, at(1h));
  progress.reached(3, at(1h + 1s));
  EXPECT_THAT(progress.line(200), Not(HasSubstr("left")));
}

TEST(Progress, OnANarrowTerminalTheFiguresStay) {
  Progress progress("report-of-november.pdf", 40 * kMiB, at(0s));
  progress.reached(10 * kMiB, at(2s));
  EXPECT_EQ(progress.line(90),
            "report-of-novembe  10.0 MiB of 40.0 MiB   25% [=====>              ]  5.0 MiB/s  0:06 left");
  EXPECT_EQ(progress.line(60), "report-of-  10.0 MiB of 40.0 MiB   25%  5.0 MiB/s  0:06 left");
}

TEST(Progress, LineFitsTheTerminal) {
  Progress progress(std::string(300, 'x'), kMiB, at(0s));
  EXPECT_THAT(progress.line(40), SizeIs(40));
}

TEST(ProgressBar, IsQuietWhenStderrIsNoTerminal) {
  testing::internal::CaptureStderr();
  show_status("something");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace chordfs::cli
