#include "fuse/mount/invalidator.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>
#include <set>

#include "proto/rpc/asio_runtime.h"

namespace chordfs::mount {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr Ino kFile = 7, kOther = 8;

/// Pages as the kernel has them: who drops them waits for those that are locked.
class Pages {
 public:
  void drop(Ino ino, std::uint64_t begin, std::uint64_t end) {
    std::unique_lock lock(mutex_);
    for (auto page = pages_.lower_bound({ino, begin / kPage});
         page != pages_.end() && page->first == ino && (end == 0 || page->second < end / kPage);
         page = pages_.lower_bound({ino, begin / kPage})) {
      if (!locked_.contains(*page)) {
        pages_.erase(page);
        continue;
      }
      waiting_.insert(gettid());
      changed_.wait(lock);
      waiting_.erase(gettid());
    }
  }
  bool waits(pid_t thread) {
    std::lock_guard lock(mutex_);
    return waiting_.contains(thread);
  }
  void fill(Ino ino, std::uint64_t first, std::uint64_t count) {
    std::lock_guard lock(mutex_);
    for (auto page = first; page < first + count; ++page) pages_.insert({ino, page});
  }
  void set_locked(Ino ino, std::uint64_t first, std::uint64_t count, bool locked) {
    std::lock_guard lock(mutex_);
    for (auto page = first; page < first + count; ++page)
      if (locked)
        locked_.insert({ino, page});
      else
        locked_.erase({ino, page});
    if (locked) pages_.insert(locked_.begin(), locked_.end());
    changed_.notify_all();
  }
  std::set<std::uint64_t> of(Ino ino) {
    std::lock_guard lock(mutex_);
    std::set<std::uint64_t> found;
    for (const auto& [file, page] : pages_)
      if (file == ino) found.insert(page);
    return found;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::pair<Ino, std::uint64_t>> pages_, locked_;
  std::set<pid_t> waiting_;
};

using Left = std::set<std::uint64_t>;

struct InvalidatorTest : testing::Test {
  InvalidatorTest() {
    invalidator.start({.drop = [this](Ino ino, std::uint64_t begin, std::uint64_t end) { pages.drop(ino, begin, end); },
                       .waits = [this](pid_t thread) { return pages.waits(thread); }});
  }
  ~InvalidatorTest() override {
    pages.set_locked(kFile, 0, 100, false);
    run(invalidator.stop());
  }

  void run(awaitable<void> task) { run_to_end(io, std::move(task)); }
  void drop(Ino ino) { run(invalidator.drop_pages(ino)); }

  /// Is still under way after a while, and ends after `news`.
  void drop_once(const std::function<void()>& news) {
    run([](InvalidatorTest& test, const std::function<void()>& news) -> awaitable<void> {
      bool dropped = false;
      asio::co_spawn(
          test.io, [&test]() { return test.invalidator.drop_pages(kFile); },
          [&dropped](std::exception_ptr) { dropped = true; });
      co_await test.runtime.sleep(50ms);
      EXPECT_FALSE(dropped);
      news();
      while (!dropped) co_await test.runtime.sleep(1ms);
    }(*this, news));
  }

  asio::io_context io;
  AsioRuntime runtime{io};
  Pages pages;
  Invalidator invalidator{runtime};
};

TEST_F(InvalidatorTest, AllPagesOfOneFileGo) {
  pages.fill(kFile, 0, 10);
  pages.fill(kOther, 0, 2);
  drop(kFile);
  EXPECT_EQ(pages.of(kFile), Left());
  EXPECT_EQ(pages.of(kOther), Left({0, 1}));
}

TEST_F(InvalidatorTest, ThoseOfAReadUnderWayAreNotWaitedFor) {
  pages.fill(kFile, 0, 20);
  pages.set_locked(kFile, 4, 4, true);
  auto read = invalidator.reading(kFile, 4 * kPage, 4 * kPage);
  drop(kFile);
  EXPECT_EQ(pages.of(kFile), Left({4, 5, 6, 7}));
}

TEST_F(InvalidatorTest, NorTheLastPageOfAWriteIfItIsLocked) {
  pages.fill(kFile, 0, 20);
  pages.set_locked(kFile, 9, 1, true);
  auto write = invalidator.writing(kFile, 5 * kPage, 4 * kPage + 100, false);
  drop(kFile);
  EXPECT_EQ(pages.of(kFile), Left({9}));
}

TEST_F(InvalidatorTest, ButThatPageGoesIfItIsNot) {
  pages.fill(kFile, 0, 20);
  auto write = invalidator.writing(kFile, 5 * kPage, 4 * kPage + 100, false);
  auto whole = invalidator.writing(kFile, 12 * kPage, 2 * kPage, false);
  drop(kFile);
  EXPECT_EQ(pages.of(kFile), Left());
}

TEST_F(InvalidatorTest, APageThatIsBothReadAndWrittenIsTheRead) {
  pages.fill(kFile, 0, 20);
  pages.set_locked(kFile, 9, 1, true);
  auto write = invalidator.writing(kFile, 9 * kPage, 100, false);
  auto read = invalidator.reading(kFile, 8 * kPage, 4 * kPage);
  drop(kFile);
  EXPECT_EQ(pages.of(kFile), Left({8, 9, 10, 11}));
}

TEST_F(InvalidatorTest, AMappedPageThatIsWrittenBackIsNotWaitedFor) {
  pages.fill(kFile, 0, 3);
  pages.set_locked(kFile, 1, 1, true);
  auto write = invalidator.writing(kFile, kPage, kPage, true);
  drop(kFile);
  EXPECT_EQ(pages.of(kFile), Left({1}));
}

TEST_F(InvalidatorTest, ARequestThatWeHearOfLateIsLeftOutThen) {
  pages.fill(kFile, 0, 20);
  pages.set_locked(kFile, 4, 4, true);
  std::optional<Invalidator::Locked> read;
  drop_once([&] { read.emplace(invalidator.reading(kFile, 4 * kPage, 4 * kPage)); });
  EXPECT_EQ(pages.of(kFile), Left({4, 5, 6, 7}));
}

TEST_F(InvalidatorTest, WhatWasAnsweredIsWaitedForAgain) {
  pages.set_locked(kFile, 4, 1, true);
  {
    auto read = invalidator.reading(kFile, 4 * kPage, kPage);
  }
  drop_once([&] { pages.set_locked(kFile, 4, 1, false); });
  EXPECT_EQ(pages.of(kFile), Left());
}

TEST_F(InvalidatorTest, LockedPagesOfOneFileDoNotHoldUpAnother) {
  pages.set_locked(kFile, 0, 1, true);
  pages.fill(kOther, 0, 2);
  for (int i = 0; i < 100; ++i) invalidator.drop_pages_later(kFile);
  drop(kOther);
  EXPECT_EQ(pages.of(kOther), Left());
}

TEST_F(InvalidatorTest, LaterMeansOnceMoreForWhatCameMeanwhile) {
  pages.set_locked(kFile, 0, 1, true);
  invalidator.drop_pages_later(kFile);
  run([](InvalidatorTest& test) -> awaitable<void> {
    co_await test.runtime.sleep(10ms);
    test.invalidator.drop_pages_later(kFile);
    test.pages.set_locked(kFile, 0, 1, false);
    test.pages.fill(kFile, 0, 2);
    while (!test.pages.of(kFile).empty()) co_await test.runtime.sleep(1ms);
  }(*this));
}

TEST(WaitsUninterruptibly, NotThisThreadNorOneThatIsNoMore) {
  EXPECT_FALSE(waits_uninterruptibly(gettid()));
  EXPECT_FALSE(waits_uninterruptibly(0));
}

}  // namespace
}  // namespace chordfs::mount
