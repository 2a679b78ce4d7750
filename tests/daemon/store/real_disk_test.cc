// What is RealDisk's own: its directory, its lock, damage, a full file system.

#include "daemon/store/real_disk.h"

#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/daemon/store/disk_contract.h"
#include "tests/daemon/store/temporary_directory.h"

namespace chordfs {

namespace {

namespace fs = std::filesystem;

constexpr RealDiskOptions kSmall{.block_cache_bytes = 8U << 20, .memtable_bytes = 1U << 20};

std::unique_ptr<RealDisk> must_open(Runtime& runtime, const fs::path& path, RealDiskOptions options = kSmall) {
  auto disk = RealDisk::open(runtime, path, options);
  CHECK(disk, "{}", disk.error().text());
  return std::move(*disk);
}

/// The first file of the database whose name begins so.
fs::path database_file(const fs::path& node, const std::string& prefix) {
  for (const auto& entry : fs::directory_iterator(node / "records"))
    if (entry.path().filename().string().starts_with(prefix)) return entry.path();
  CHECK(false, "no {}", prefix);
}

void overwrite(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

/// A file system of its own, if this user may mount one.
class SmallFileSystem {
 public:
  explicit SmallFileSystem(const fs::path& path, const char* options) : path_(path) {
    fs::create_directories(path);
    mounted_ = ::mount("none", path.c_str(), "tmpfs", 0, options) == 0;
  }
  ~SmallFileSystem() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  bool make_read_only() { return ::mount("none", path_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0; }

 private:
  fs::path path_;
  bool mounted_ = false;
};

}  // namespace

class RealDiskTest : public testing::Test {
 protected:
  TestRuntime runtime;
  TemporaryDirectory directory;
  fs::path node = directory.path() / "node";
};

TEST_F(RealDiskTest, SecondProcessIsToldWhoHasTheDirectory) {
  auto disk = must_open(runtime, node);
  auto second = RealDisk::open(runtime, node, kSmall);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.code(), Errc::busy);
  EXPECT_EQ(second.error().context,
            fmt::format("data directory {} is in use by a running chordfs-node (pid {})", node.string(), ::getpid()));
}

TEST_F(RealDiskTest, FileInTheWayIsAnError) {
  overwrite(node, "not a directory");
  auto disk = RealDisk::open(runtime, node, kSmall);
  EXPECT_EQ(disk.code(), Errc::io_error);
  EXPECT_NE(disk.error().context.find(node.string()), std::string::npos) << disk.error().text();
}

TEST_F(RealDiskTest, ReadOnlyFileSystemIsAnError) {
  SmallFileSystem small(node, "size=16m");
  if (!small.mounted() || !small.make_read_only()) GTEST_SKIP() << "may not mount";
  auto disk = RealDisk::open(runtime, node, kSmall);
  EXPECT_EQ(disk.code(), Errc::io_error);
  EXPECT_NE(disk.error().context.find("Read-only"), std::string::npos) << disk.error().text();
}

TEST_F(RealDiskTest, DamagedManifestIsCorrupt) {
  {
    auto disk = must_open(runtime, node);
    ASSERT_TRUE(runtime.run(disk->commit(put("a", "1"), Sync::yes)));
  }
  overwrite(database_file(node, "MANIFEST"), std::string(200, 'x'));
  auto disk = RealDisk::open(runtime, node, kSmall);
  EXPECT_EQ(disk.code(), Errc::corrupt) << disk.error().text();
}

TEST_F(RealDiskTest, DamagedTableIsCorruptOnReadAndInPlans) {
  {
    auto disk = must_open(runtime, node);
    for (int i = 0; i < 100; ++i)
      ASSERT_TRUE(runtime.run(disk->commit(put(fmt::format("{:03}", i), std::string(40000, 'v')), Sync::no)));
    ASSERT_TRUE(runtime.run(disk->commit(Batch(), Sync::yes)));
  }
  must_open(runtime, node);  // Recovery leaves tables only.
  for (const auto& entry : fs::directory_iterator(node / "records")) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream table(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    table.seekp(1000);
    table << "damage";
  }
  auto disk = must_open(runtime, node);
  auto look = [](const RecordView& view) { pairs_in(view); };
  auto read = runtime.run(disk->read(look));
  EXPECT_EQ(read.code(), Errc::corrupt);
  EXPECT_NE(read.error().context.find(".sst"), std::string::npos) << "does not name the file: " << read.error().text();
  EXPECT_EQ(runtime.run(disk->read_at(disk->snapshot(), look)).code(), Errc::corrupt);
  auto plan = [](const RecordView& view) {
    pairs_in(view);
    return put("planned", "on nothing");
  };
  EXPECT_EQ(runtime.run(disk->update(plan)).code(), Errc::corrupt);
  bool planned = true;
  EXPECT_TRUE(runtime.run(disk->read([&](const RecordView& view) { planned = view.get("planned").has_value(); })));
  EXPECT_FALSE(planned);
}

TEST_F(RealDiskTest, LeftoversOfACrashAreSweptAtOpen) {
  must_open(runtime, node);
  overwrite(node / "blocks" / "7f" / ".put-3", "half");
  overwrite(node / "blocks" / "7f" / "aa7f", "whole");
  auto disk = must_open(runtime, node);
  EXPECT_FALSE(fs::exists(node / "blocks" / "7f" / ".put-3"));
  auto files = runtime.run(disk->list_files());
  ASSERT_EQ(files->size(), 1U);
  EXPECT_EQ(files->front().name, "aa7f");
  EXPECT_GE(runtime.run(disk->space())->used, 5U);
}

TEST_F(RealDiskTest, FullFileSystemRefusesFilesAndLaterTakesThemAgain) {
  SmallFileSystem small(node, "size=48m");
  if (!small.mounted()) GTEST_SKIP() << "may not mount";
  auto disk = must_open(runtime, node);
  auto block = Bytes::take(std::string(4U << 20, 'x'));
  Result<void> result;
  int written = 0;
  for (; result && written < 20; ++written)
    result = runtime.run(disk->put_file(fmt::format("{:02x}", written), {block}));
  EXPECT_EQ(result.code(), Errc::disk_full);
  EXPECT_EQ(runtime.run(disk->list_files())->size(), static_cast<std::size_t>(written - 1)) << "nothing half written";
  EXPECT_TRUE(runtime.run(disk->erase_file("00")));
  EXPECT_TRUE(runtime.run(disk->put_file("ff", {block})));
}

TEST_F(RealDiskTest, FullFileSystemRefusesRecordsAndKeepsThoseItTook) {
  SmallFileSystem small(node, "size=24m");
  if (!small.mounted()) GTEST_SKIP() << "may not mount";
  int taken = 0;
  {
    auto disk = must_open(runtime, node);
    Result<void> result;
    for (; taken < 2000; ++taken) {
      std::string value(30000, '\0');
      for (auto& byte : value) byte = static_cast<char>(runtime.random());  // Tables are compressed.
      result = runtime.run(disk->commit(put(fmt::format("{:04}", taken), std::move(value)), Sync::yes));
      if (!result) break;
    }
    EXPECT_EQ(result.code(), Errc::disk_full) << (result ? "no error" : result.error().text());
  }
  ASSERT_EQ(::mount("none", node.c_str(), nullptr, MS_REMOUNT, "size=256m"), 0);
  auto disk = must_open(runtime, node);
  auto pairs = contents(runtime, *disk);
  ASSERT_GE(pairs.size(), static_cast<std::size_t>(taken));
  for (int i = 0; i < taken; ++i) EXPECT_EQ(pairs[static_cast<std::size_t>(i)].first, fmt::format("{:04}", i));
}

TEST_F(RealDiskTest, TornLogKeepsAPrefix) {
  for (int round = 0; round < 12; ++round) {
    auto place = directory.path() / std::to_string(round);
    {
      auto disk = must_open(runtime, place);
      for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(runtime.run(disk->commit(put(fmt::format("{:04}", i), std::string(100, 'v')), Sync::no)));
    }
    std::filesystem::path log;
    for (const auto& entry : fs::directory_iterator(place / "records"))
      if (entry.path().extension() == ".log") log = entry.path();
    auto size = fs::file_size(log);
    if (round % 2) {
      fs::resize_file(log, runtime.below(size));
    } else {
      std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(runtime.below(size - 100)));
      file << std::string(100, '\0');  // A page that never reached the disk, with later ones that did.
    }
    auto disk = must_open(runtime, place);
    for (int next = 0; const auto& [key, value] : contents(runtime, *disk))
      EXPECT_EQ(key, fmt::format("{:04}", next++)) << "a hole";
    EXPECT_LT(contents(runtime, *disk).size(), 100U);
  }
}

TEST_F(RealDiskTest, FlippedBitInTheSyncedLogIsRefusedEveryTimeAndMendable) {
  {
    auto disk = must_open(runtime, node);
    for (int i = 0; i < 50; ++i)
      ASSERT_TRUE(runtime.run(disk->commit(put(fmt::format("{:04}", i), std::string(100, 'v')), Sync::yes)));
  }
  fs::path log;
  for (const auto& entry : fs::directory_iterator(node / "records"))
    if (entry.path().extension() == ".log") log = entry.path();
  auto size = fs::file_size(log);
  auto flip = [&](std::uint64_t at) {
    std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    auto byte = static_cast<char>(file.get() ^ 0x10);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
  };
  // Also in the last record: all that was acknowledged counts.
  for (std::uint64_t at : {std::uint64_t{0}, std::uint64_t{5}, size / 3, size / 2, size - 2}) {
    flip(at);
    for (int attempt = 0; attempt < 2; ++attempt) {
      auto disk = RealDisk::open(runtime, node, kSmall);
      ASSERT_FALSE(disk) << "a bit at " << at << " of " << size;
      EXPECT_EQ(disk.code(), Errc::corrupt) << disk.error().text();
      EXPECT_NE(disk.error().context.find((node / "records").string()), std::string::npos) << disk.error().text();
    }
    flip(at);
  }
  auto disk = must_open(runtime, node);
  EXPECT_EQ(contents(runtime, *disk).size(), 50U) << "a refused start has changed nothing";
}

TEST_F(RealDiskTest, UnsyncedTailMayBeTornBehindTheSyncedPart) {
  {
    auto disk = must_open(runtime, node);
    ASSERT_TRUE(runtime.run(disk->commit(put("0000", "synced"), Sync::yes)));
    for (int i = 1; i < 50; ++i)
      ASSERT_TRUE(runtime.run(disk->commit(put(fmt::format("{:04}", i), std::string(100, 'v')), Sync::no)));
  }
  for (const auto& entry : fs::directory_iterator(node / "records"))
    if (entry.path().extension() == ".log") fs::resize_file(entry.path(), fs::file_size(entry.path()) / 2);
  auto disk = must_open(runtime, node);
  auto left = contents(runtime, *disk).size();
  EXPECT_GE(left, 1U);
  EXPECT_LT(left, 50U);
}

TEST_F(RealDiskTest, StrangeDirectoryIsNotTouched) {
  fs::create_directories(node);
  overwrite(node / "cat.jpg", "meow");
  EXPECT_EQ(RealDisk::open(runtime, node, kSmall).code(), Errc::not_permitted);
  EXPECT_EQ(std::distance(fs::directory_iterator(node), fs::directory_iterator()), 1);
}

TEST_F(RealDiskTest, SnapshotOutlivesItsDisk) {
  auto disk = must_open(runtime, node);
  ASSERT_TRUE(runtime.run(disk->commit(put("a", "1"), Sync::no)));
  auto view = disk->snapshot();
  disk.reset();
  EXPECT_EQ(view->get("a"), "1");
}

TEST_F(RealDiskTest, RecordsOutgrowTheMemtable) {
  auto disk = must_open(runtime, node);
  std::vector<awaitable<Result<void>>> waiting;
  for (int i = 0; i < 2000; ++i)
    waiting.push_back(disk->commit(put(fmt::format("{:05}", i), std::string(4000, 'v')), Sync::no));
  for (auto& each : waiting) ASSERT_TRUE(runtime.run(std::move(each)));
  disk.reset();
  disk = must_open(runtime, node);
  EXPECT_EQ(contents(runtime, *disk).size(), 2000U);
}

}  // namespace chordfs
