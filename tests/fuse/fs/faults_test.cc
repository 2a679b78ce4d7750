// Blocks that cannot be stored, answers that do not come, sessions that end.
#include "fuse/fs/write_behind.h"
#include "tests/fuse/fs/mounts.h"

namespace chordfs {

namespace {
class Faults : public FileSystemTest {
 protected:
  /// From now on these calls fail with this code.
  void fail(std::string call, Errc code) {
    ring.fault = [call = std::move(call), code](std::string_view name) -> Result<void> {
      if (name == call) return Error{code, "injected"};
      return {};
    };
  }
  void mend() { ring.fault = nullptr; }
  Errc flush(Handle handle) { return a.run(a.files().flush(handle)).code(); }
  Errc write(Handle handle, std::uint64_t offset, std::string_view bytes) {
    return a.run(a.files().write(handle, offset, Bytes::copy(bytes))).code();
  }
};

TEST_F(Faults, BlockThatCannotBeStoredIsReportedAndTriedAgain) {
  auto handle = a.create(root, "f");
  fail("put_block", Errc::disk_full);
  auto contents = pattern(3 << 20);
  a.write(handle, 0, contents);
  EXPECT_EQ(flush(handle), Errc::disk_full);
  EXPECT_EQ(flush(handle), Errc::disk_full);
  EXPECT_TRUE(a.read(handle, 0, contents.size()) == contents);
  mend();
  EXPECT_EQ(flush(handle), Errc::ok);
  EXPECT_TRUE(b.load(b.ino(root, "f")) == contents);
  a.close(handle);
}

TEST_F(Faults, FailureBehindTheBackIsReportedOnceByEachHandle) {
  auto first = a.create(root, "f");
  auto second = a.open(a.ino(root, "f"));
  fail("put_block", Errc::disk_full);
  a.write(first, 0, pattern(2 << 20));
  world.run_for(100ms);
  EXPECT_EQ(write(first, 3 << 20, "x"), Errc::disk_full);
  EXPECT_EQ(write(first, 3 << 20, "x"), Errc::ok);
  EXPECT_EQ(write(second, 3 << 20, "x"), Errc::disk_full);
  EXPECT_EQ(write(second, 3 << 20, "x"), Errc::ok);
  mend();
  a.close(first);
  a.close(second);
}

TEST_F(Faults, FailureThatWasMadeGoodIsNotReported) {
  auto handle = a.create(root, "f");
  fail("put_block", Errc::unavailable);
  a.write(handle, 0, pattern(2 << 20));
  world.run_for(100ms);
  mend();
  EXPECT_EQ(flush(handle), Errc::ok);
  EXPECT_EQ(write(handle, 0, "x"), Errc::ok);
  a.close(handle);
}

TEST_F(Faults, DataThatNobodyCouldStoreGoesWithTheLastHandle) {
  auto handle = a.create(root, "f");
  fail("put_block", Errc::disk_full);
  a.write(handle, 0, pattern(2 << 20));
  EXPECT_EQ(flush(handle), Errc::disk_full);
  a.run([](Mount& mount, Handle h) -> awaitable<int> {
    co_await mount.files().release(h);
    co_return 0;
  }(a, handle));
  mend();
  EXPECT_EQ(a.attr(a.ino(root, "f")).size(), 0);
}

TEST_F(Faults, CommitOfUnknownOutcomeNeverNamesItsBlocksAgain) {
  auto handle = a.create(root, "f");
  auto contents = pattern(2 << 20);
  a.write(handle, 0, contents);
  world.run_for(100ms);
  auto before = ring.blocks();
  fail("transact", Errc::unavailable);
  EXPECT_EQ(flush(handle), Errc::unavailable);
  mend();
  EXPECT_EQ(flush(handle), Errc::ok);
  EXPECT_EQ(ring.blocks().size(), 2 * before.size());
  EXPECT_TRUE(b.load(b.ino(root, "f")) == contents);
  a.close(handle);
}

TEST_F(Faults, WriterWaitsForRoomAndGivesUpInTheEnd) {
  auto handle = a.create(root, "f");
  fail("put_block", Errc::unavailable);
  auto part = pattern(1 << 20);
  std::uint64_t written = 0;
  auto code = Errc::ok;
  // Each failure in the background is reported, too, and does not keep the program from trying again.
  for (int attempt = 0; attempt < 1000 && code != Errc::io_error; ++attempt) {
    code = write(handle, written << 20, part);
    if (code == Errc::ok) ++written;
  }
  EXPECT_EQ(code, Errc::io_error);
  EXPECT_GE(written << 20, fs::CacheSizes(kCacheBytesDefault).dirty_bytes / 2);
  EXPECT_LE(written << 20, fs::CacheSizes(kCacheBytesDefault).dirty_bytes);
  mend();
  // The background tries again by itself.
  world.run_for(10s);
  EXPECT_EQ(write(handle, 0, "x"), Errc::ok);
  a.close(handle);
}

TEST_F(Faults, ReadErrorNamesTheBlock) {
  a.save(root, "f", pattern(2 << 20));
  auto handle = b.open(b.ino(root, "f"));
  fail("get_block", Errc::no_block);
  auto bytes = b.run(b.files().read(handle, 0, 4096));
  EXPECT_EQ(bytes.code(), Errc::io_error);
  mend();
  EXPECT_TRUE(b.read(handle, 0, 4096) == pattern(2 << 20).substr(0, 4096));
  b.close(handle);
}

TEST_F(Faults, LostSessionLosesUnsentDataAndSaysSo) {
  auto other = a.create(root, "clean");
  auto handle = a.create(root, "f");
  a.write(handle, 0, "kept");
  a.flush(handle);
  a.write(handle, 0, "lost");
  ring.expire(a.client().session());
  EXPECT_NE(flush(handle), Errc::ok);
  EXPECT_EQ(flush(handle), Errc::io_error);
  EXPECT_EQ(write(handle, 0, "x"), Errc::io_error);
  EXPECT_EQ(a.run(a.files().read(handle, 0, 4)).code(), Errc::io_error);
  // Everything else goes on in a new session.
  EXPECT_EQ(a.load(a.ino(root, "f")), "kept");
  a.write(other, 0, "fine");
  EXPECT_EQ(flush(other), Errc::ok);
  a.make_directory(root, "d");
  auto fresh = a.open(a.ino(root, "f"));
  a.write(fresh, 0, "anew");
  a.close(fresh);
  EXPECT_EQ(b.load(b.ino(root, "f")), "anew");
}

TEST_F(Faults, NamespaceGoesOnInANewSession) {
  ring.expire(a.client().session());
  a.make_file(root, "f");
  EXPECT_EQ(b.list(root), std::vector<std::string>{"f"});
}

TEST_F(Faults, StopCommitsWhatIsOpen) {
  auto handle = a.create(root, "f");
  a.write(handle, 0, pattern(100000));
  a.stop();
  EXPECT_TRUE(b.load(b.ino(root, "f")) == pattern(100000));
}

TEST_F(Faults, UnavailableRingIsSaid) {
  auto file = a.make_file(root, "f").ino();
  fail("query", Errc::unavailable);
  EXPECT_EQ(a.run(a.files().lookup(root, "f")).code(), Errc::unavailable);
  EXPECT_EQ(a.run(a.files().open(file, false)).code(), Errc::unavailable);
  mend();
}
}  // namespace

}  // namespace chordfs
