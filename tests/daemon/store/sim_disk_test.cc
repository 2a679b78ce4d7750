// What is SimDisk's own: crashes and faults.

#include "proto/base/task.h"
#include "tests/daemon/store/disk_contract.h"
#include "tools/sim/disk.h"

namespace chordfs {

namespace {

/// Commits numbers 0, 1, 2 … under their own keys, every third synced; notes what was acknowledged.
struct Writer {
  int acknowledged = -1, synced = -1;

  static awaitable<void> run(Disk& disk, Writer& self) {
    for (int i = 0;; ++i) {
      auto sync = i % 3 == 0 ? Sync::yes : Sync::no;
      auto result = co_await disk.commit(put(fmt::format("{:06}", i), std::to_string(i)), sync);
      if (!result) co_return;
      self.acknowledged = i;
      if (sync == Sync::yes) self.synced = i;
    }
  }
};

/// How many records there are; they must be the numbers from 0 on.
int prefix_length(const RecordView& view) {
  int next = 0;
  for (const auto& [key, value] : pairs_in(view)) EXPECT_EQ(value, std::to_string(next++)) << "a hole before " << key;
  return next;
}

}  // namespace

TEST(SimDisk, PowerLossKeepsWhatWasSyncedAndAPrefix) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    TestRuntime runtime(seed);
    SimDisk platter(runtime);
    Writer writer;
    for (int incarnation = 0; incarnation < 3; ++incarnation) {
      auto disk = platter.open(runtime);
      TaskGroup tasks(runtime);
      writer = {};
      tasks.spawn("writer", Writer::run(*disk, writer));
      runtime.advance(Duration(runtime.below(20'000'000)));
      EXPECT_GE(prefix_length(*platter.durable()), writer.synced + 1);
      platter.crash(Crash::power_loss);
      runtime.run(tasks.join());
      int kept = prefix_length(*platter.visible());
      EXPECT_GE(kept, writer.synced + 1) << "seed " << seed;
      EXPECT_LE(kept, writer.acknowledged + 2) << "seed " << seed;
      if (kept <= writer.acknowledged) ++lost;
      platter.wipe();
    }
  }
  EXPECT_GT(lost, 50) << "it should lose unsynced batches often";
}

TEST(SimDisk, KillKeepsWhatWasAcknowledged) {
  int more = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    TestRuntime runtime(seed);
    SimDisk platter(runtime);
    auto disk = platter.open(runtime);
    TaskGroup tasks(runtime);
    Writer writer;
    tasks.spawn("writer", Writer::run(*disk, writer));
    runtime.advance(Duration(runtime.below(20'000'000)));
    platter.crash(Crash::process_kill);
    runtime.run(tasks.join());
    int kept = prefix_length(*platter.visible());
    EXPECT_GE(kept, writer.acknowledged + 1) << "seed " << seed;
    if (kept > writer.acknowledged + 1) ++more;
  }
  EXPECT_GT(more, 20) << "what was under way should sometimes have happened";
}

TEST(SimDisk, PowerLossAfterKillMayStillLoseWhatWasNotSynced) {
  bool lost = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    TestRuntime runtime(seed);
    SimDisk platter(runtime);
    auto disk = platter.open(runtime);
    EXPECT_TRUE(runtime.run(disk->commit(put("a", "1"), Sync::no)));
    platter.crash(Crash::process_kill);
    platter.crash(Crash::power_loss);
    lost |= pairs_in(*platter.visible()).empty();
  }
  EXPECT_TRUE(lost);
}

TEST(SimDisk, OldHandleIsDeadAfterACrash) {
  TestRuntime runtime;
  SimDisk platter(runtime);
  auto old = platter.open(runtime);
  auto waiting = old->commit(put("a", "1"), Sync::yes);
  platter.crash(Crash::power_loss);
  EXPECT_EQ(runtime.run(std::move(waiting)).code(), Errc::cancelled);
  auto fresh = platter.open(runtime);
  EXPECT_EQ(runtime.run(old->commit(put("b", "1"), Sync::yes)).code(), Errc::cancelled);
  EXPECT_EQ(runtime.run(old->list_files()).code(), Errc::cancelled);
  old.reset();  // Must not harm the new one.
  EXPECT_TRUE(runtime.run(fresh->commit(put("c", "1"), Sync::yes)));
}

TEST(SimDisk, FileUnderWayIsWholeOrAbsentAfterACrash) {
  int whole = 0, absent = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    TestRuntime runtime(seed);
    SimDisk platter(runtime);
    auto disk = platter.open(runtime);
    auto waiting = disk->put_file("abcd", {Bytes::copy("contents")});
    platter.crash(seed % 2 ? Crash::power_loss : Crash::process_kill);
    auto files = platter.files();
    files.empty() ? ++absent : ++whole;
    if (!files.empty()) EXPECT_EQ(platter.file("abcd").view(), "contents");
  }
  EXPECT_GT(whole, 20);
  EXPECT_GT(absent, 20);
}

TEST(SimDisk, AcknowledgedFileSurvivesPowerLoss) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    TestRuntime runtime(seed);
    SimDisk platter(runtime, {.torn_files = true});
    auto disk = platter.open(runtime);
    ASSERT_TRUE(runtime.run(disk->put_file("abcd", {Bytes::copy("contents")})));
    platter.crash(Crash::power_loss);
    EXPECT_EQ(platter.file("abcd").view(), "contents");
  }
}

TEST(SimDisk, ErasedFileMayComeBackAfterPowerLossOnly) {
  int back = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    TestRuntime runtime(seed);
    SimDisk platter(runtime);
    auto disk = platter.open(runtime);
    ASSERT_TRUE(runtime.run(disk->put_file("abcd", {Bytes::copy("x")})));
    ASSERT_TRUE(runtime.run(disk->erase_file("abcd")));
    platter.crash(Crash::process_kill);
    EXPECT_TRUE(platter.files().empty());
    platter.crash(Crash::power_loss);
    if (!platter.files().empty()) ++back;
  }
  EXPECT_GT(back, 20);
  EXPECT_LT(back, 80);
}

TEST(SimDisk, IoErrorOfACommitEndsAllWritingUntilReopened) {
  TestRuntime runtime;
  SimDisk platter(runtime);
  auto disk = platter.open(runtime);
  platter.fail_next(DiskOperation::commit, Errc::io_error);
  EXPECT_EQ(runtime.run(disk->commit(put("a", "1"), Sync::yes)).code(), Errc::io_error);
  EXPECT_EQ(runtime.run(disk->commit(put("b", "1"), Sync::no)).code(), Errc::io_error);
  EXPECT_EQ(runtime.run(disk->update([](const RecordView&) { return put("c", "1"); })).code(), Errc::io_error);
  EXPECT_TRUE(contents(runtime, *disk).empty());
  disk = platter.open(runtime);
  EXPECT_TRUE(runtime.run(disk->commit(put("d", "1"), Sync::yes)));
}

TEST(SimDisk, InjectedFaultHitsOneOperation) {
  TestRuntime runtime;
  SimDisk platter(runtime);
  auto disk = platter.open(runtime);
  platter.fail_next(DiskOperation::put_file, Errc::io_error);
  EXPECT_EQ(runtime.run(disk->put_file("abcd", {})).code(), Errc::io_error);
  EXPECT_TRUE(runtime.run(disk->put_file("abcd", {})));
  platter.fail_next(DiskOperation::read, Errc::corrupt);
  EXPECT_EQ(runtime.run(disk->read([](const RecordView&) {})).code(), Errc::corrupt);
}

TEST(SimDisk, FullDiskRefusesWithoutEffect) {
  TestRuntime runtime;
  SimDisk platter(runtime, {.capacity_bytes = 100});
  auto disk = platter.open(runtime);
  EXPECT_EQ(runtime.run(disk->commit(put("a", std::string(200, 'x')), Sync::yes)).code(), Errc::disk_full);
  EXPECT_EQ(runtime.run(disk->put_file("abcd", {Bytes::take(std::string(200, 'x'))})).code(), Errc::disk_full);
  EXPECT_TRUE(runtime.run(disk->commit(put("a", "1"), Sync::yes)));
  EXPECT_EQ(runtime.run(disk->space())->used, 2U);
}

TEST(SimDisk, FlippedRecordDiffersInOneBit) {
  TestRuntime runtime;
  SimDisk platter(runtime);
  auto disk = platter.open(runtime);
  ASSERT_TRUE(runtime.run(disk->commit(put("a", "value"), Sync::yes)));
  ASSERT_TRUE(platter.flip_any_record());
  EXPECT_NE(platter.visible()->get("a"), "value");
  EXPECT_EQ(platter.visible()->get("a"), platter.durable()->get("a"));
  EXPECT_FALSE(platter.flip_record("absent"));
}

TEST(SimDisk, WipedDiskIsEmptyAndUsable) {
  TestRuntime runtime;
  SimDisk platter(runtime);
  auto disk = platter.open(runtime);
  ASSERT_TRUE(runtime.run(disk->commit(put("a", "value"), Sync::yes)));
  ASSERT_TRUE(runtime.run(disk->put_file("abcd", {})));
  platter.wipe();
  disk = platter.open(runtime);
  EXPECT_TRUE(contents(runtime, *disk).empty());
  EXPECT_TRUE(platter.files().empty());
}

TEST(SimDisk, SameSeedSameFate) {
  auto fate = [](std::uint64_t seed) {
    TestRuntime runtime(seed);
    SimDisk platter(runtime, {.io_error_probability = 0.001});
    auto disk = platter.open(runtime);
    TaskGroup tasks(runtime);
    Writer writer;
    tasks.spawn("writer", Writer::run(*disk, writer));
    runtime.advance(50ms);
    platter.crash(Crash::power_loss);
    runtime.run(tasks.join());
    return std::pair(writer.acknowledged, pairs_in(*platter.visible()).size());
  };
  EXPECT_EQ(fate(7), fate(7));
  EXPECT_NE(fate(7), fate(8));
}

}  // namespace chordfs
