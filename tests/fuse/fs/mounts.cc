#include "tests/fuse/fs/mounts.h"

#include <algorithm>

#include "daemon/tree/extents.h"
#include "daemon/tree/keys.h"

namespace chordfs {

Mount::Mount(World& world, LocalRing& ring, std::string name)
    : world_(world), client_(world.runtime(), ring), files_(client_) {
  EXPECT_TRUE(run(files_.start(std::move(name))));
}

Mount::~Mount() {
  stop();
}

void Mount::stop() {
  if (std::exchange(stopped_, true)) return;
  world_.run(files_.stop());
}

wire::Attr Mount::make(Ino dir, std::string name, wire::FileType type, std::uint32_t mode) {
  NewObject object;
  object.type = type;
  object.mode = mode;
  if (type == wire::FILE_SYMLINK) object.target = "target";
  auto made = run(files_.make(dir, name, object, {1000, 1000}));
  EXPECT_TRUE(made) << name << ": " << made.error().text();
  return made.value_or(wire::Attr());
}

Handle Mount::create(Ino dir, std::string name) {
  NewObject object;
  object.mode = 0644;
  auto opened = run(files_.create(dir, std::move(name), object, {1000, 1000}));
  EXPECT_TRUE(opened) << opened.error().text();
  return opened ? opened->handle : 0;
}

Handle Mount::open(Ino ino, bool truncate) {
  auto opened = run(files_.open(ino, truncate));
  EXPECT_TRUE(opened) << opened.error().text();
  return opened ? opened->handle : 0;
}

void Mount::write(Handle handle, std::uint64_t offset, std::string_view bytes) {
  auto done = run(files_.write(handle, offset, Bytes::copy(bytes)));
  EXPECT_TRUE(done) << done.error().text();
}

std::string Mount::read(Handle handle, std::uint64_t offset, std::size_t size) {
  auto bytes = run(files_.read(handle, offset, size));
  EXPECT_TRUE(bytes) << bytes.error().text();
  return bytes ? std::string(bytes->view()) : std::string();
}

void Mount::flush(Handle handle) {
  auto done = run(files_.flush(handle));
  EXPECT_TRUE(done) << done.error().text();
}

void Mount::close(Handle handle) {
  flush(handle);
  world_.run(files_.release(handle));
}

void Mount::save(Ino dir, std::string name, std::string_view contents) {
  auto there = ino(dir, name);
  auto handle = there ? open(there, true) : create(dir, name);
  write(handle, 0, contents);
  close(handle);
}

std::string Mount::load(Ino ino) {
  auto opened = run(files_.open(ino, false));
  EXPECT_TRUE(opened) << opened.error().text();
  if (!opened) return {};
  std::string contents;
  while (contents.size() < opened->attr.size()) {
    auto more = read(opened->handle, contents.size(), 128 << 10);
    if (more.empty()) break;
    contents += more;
  }
  close(opened->handle);
  return contents;
}

Ino Mount::ino(Ino dir, std::string name) {
  auto attr = run(files_.lookup(dir, std::move(name)));
  if (!attr) EXPECT_EQ(name_of(attr.code()), "not_found");
  return attr ? attr->ino() : 0;
}

wire::Attr Mount::attr(Ino ino) {
  auto attr = run(files_.get_attributes(ino));
  EXPECT_TRUE(attr) << attr.error().text();
  return attr.value_or(wire::Attr());
}

std::vector<std::string> Mount::list(Ino dir) {
  std::vector<std::string> names;
  for (std::uint64_t cookie = 0;;) {
    auto page = run(files_.read_directory(dir, cookie, 7, true));
    EXPECT_TRUE(page) << page.error().text();
    if (!page || page->empty()) break;
    for (const auto& entry : *page) names.push_back(entry.name);
    cookie = page->back().cookie;
  }
  std::ranges::sort(names);
  return names;
}

Errc Mount::rename(Ino dir, std::string name, Ino to_dir, std::string to_name, Rename how) {
  return run(files_.rename(dir, std::move(name), to_dir, std::move(to_name), how)).code();
}

Result<wire::Attr> Mount::resize(Ino ino, std::uint64_t size) {
  SetAttributes set;
  set.size = size;
  return run(files_.set_attributes(ino, set));
}

void FileSystemTest::expect_blocks_of_all_maps() {
  auto prefix = tree::inode_key(0).substr(0, tree::inode_key(0).size() - 8);
  auto keys = tree::keys_with_prefix(prefix);
  for (ArcNumber arc = 0; arc < ring.arcs().count(); ++arc)
    ring.records(arc).scan(keys.from, keys.to, [&](std::string_view key, std::string_view) {
      auto ino = read_u64(key.substr(prefix.size()));
      tree::scan_extents(ring.records(arc), ino, 0, ~std::uint64_t{0}, [&](const wire::Extent& extent) {
        EXPECT_TRUE(ring.blocks().contains(extent.block())) << "inode " << ino << " lacks " << hex(extent.block());
        return true;
      });
      return true;
    });
}

std::string pattern(std::size_t size, std::uint64_t seed) {
  std::string bytes(size, '\0');
  std::uint64_t state = seed * 0x9E3779B97F4A7C15;
  for (auto& byte : bytes) {
    state = state * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

}  // namespace chordfs
