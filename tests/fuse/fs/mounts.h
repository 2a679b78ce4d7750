#pragma once
// A ring in memory and two mounts of it, in the virtual world. Calls block until they are answered, so that a test
// reads like a program. When the test ends both mounts stop, and must do so without an unreported failure.

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "fuse/fs/filesystem.h"
#include "tests/local_client.h"
#include "tools/sim/world.h"

namespace chordfs {

/// One mount, its calls made blocking.
class Mount {
 public:
  Mount(World& world, LocalRing& ring, std::string name);
  ~Mount();

  FileSystem& files() { return files_; }
  LocalClient& client() { return client_; }
  template <class T>
  T run(awaitable<T> operation) {
    return world_.run(std::move(operation));
  }
  void stop();

  // Paths' ends in one directory, without handles left behind. Failures fail the test.
  wire::Attr make(Ino dir, std::string name, wire::FileType type, std::uint32_t mode = 0755);
  wire::Attr make_directory(Ino dir, std::string name) { return make(dir, std::move(name), wire::FILE_DIRECTORY); }
  wire::Attr make_file(Ino dir, std::string name) { return make(dir, std::move(name), wire::FILE_REGULAR, 0644); }
  Handle create(Ino dir, std::string name);
  Handle open(Ino ino, bool truncate = false);
  void write(Handle handle, std::uint64_t offset, std::string_view bytes);
  std::string read(Handle handle, std::uint64_t offset, std::size_t size);
  void flush(Handle handle);
  void close(Handle handle);
  void save(Ino dir, std::string name, std::string_view contents);
  std::string load(Ino ino);

  // What a test asks about most.
  Ino ino(Ino dir, std::string name);  ///< 0: nothing there.
  wire::Attr attr(Ino ino);
  std::vector<std::string> list(Ino dir);
  Errc rename(Ino dir, std::string name, Ino to_dir, std::string to_name, Rename how = Rename::plain);
  Errc unlink(Ino dir, std::string name) { return run(files_.unlink(dir, std::move(name))).code(); }
  Errc remove_directory(Ino dir, std::string name) { return run(files_.remove_directory(dir, std::move(name))).code(); }
  Result<wire::Attr> resize(Ino ino, std::uint64_t size);

 private:
  World& world_;
  LocalClient client_;
  FileSystem files_;
  bool stopped_ = false;
};

class FileSystemTest : public ::testing::Test {
 protected:
  std::uint64_t calls(std::string_view name) const {
    auto found = ring.calls.find(name);
    return found == ring.calls.end() ? 0 : found->second;
  }
  /// Every block that any file names is there: also after each test.
  void expect_blocks_of_all_maps();
  void TearDown() override {
    a.stop();
    b.stop();
    expect_blocks_of_all_maps();
  }

  static constexpr Ino root = kRootIno;
  World world{1};
  LocalRing ring;
  Mount a{world, ring, "a"};
  Mount b{world, ring, "b"};
};

/// Bytes that differ from place to place and from seed to seed.
std::string pattern(std::size_t size, std::uint64_t seed = 1);

}  // namespace chordfs
