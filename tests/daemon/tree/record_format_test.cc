#include "daemon/tree/record_format.h"

#include <gtest/gtest.h>

#include "daemon/tree/keys.h"
#include "proto/base/bytes.h"
#include "tests/daemon/tree/world.h"

namespace chordfs::tree_test {
namespace {

using tree::is_record;

/// A world in which each kind of record occurs, but undecided transactions.
World busy_world() {
  World world;
  const auto session = world.open_session();
  world.execute(0, {create(5), insert(1, "file", 5)}, identity(session, 1));
  world.execute({write_extents(5, {extent(0, 8192, 1), extent(8192, 100, 2)})});
  world.execute({write_extents(5, {extent(0, 8192, 3)})});
  world.execute({create(6), insert(1, "gone", 6)});
  world.execute({remove(1, "gone", 6), unlink(6)});
  return world;
}

TEST(RecordFormat, WhateverTheTreeWritesIsARecord) {
  EXPECT_EQ(busy_world().strange_records(), "");
}

TEST(RecordFormat, CutValuesAreNone) {
  const auto world = busy_world();
  for (const auto& [key, value] : world.records(0).map()) {
    if (value.empty() || key[0] == 'N' || key[0] == 'I' || key[0] == 'S')
      continue;  // Some prefixes of these are whole.
    EXPECT_FALSE(is_record(key, value.substr(0, value.size() - 1))) << hex(key);
  }
}

TEST(RecordFormat, KeysOfTheWrongLengthAreNone) {
  const auto world = busy_world();
  for (const auto& [key, value] : world.records(0).map()) {
    EXPECT_FALSE(is_record(key + std::string(600, 'x'), value)) << hex(key);
    if (key.size() > 1) EXPECT_FALSE(is_record(std::string_view(key).substr(0, key.size() - 1), value)) << hex(key);
  }
}

TEST(RecordFormat, UnknownKindsAreNone) {
  EXPECT_FALSE(is_record("", ""));
  EXPECT_FALSE(is_record("Z12345678", "value"));
  EXPECT_FALSE(is_record(std::string(600, 'I'), ""));
}

TEST(RecordFormat, InodeUnderAnotherNumberIsNone) {
  wire::Inode inode;
  inode.mutable_attr()->set_ino(7);
  EXPECT_TRUE(is_record(tree::inode_key(7), inode.SerializeAsString()));
  EXPECT_FALSE(is_record(tree::inode_key(8), inode.SerializeAsString()));
}

TEST(RecordFormat, NameUnderAnotherHashIsNone) {
  const std::string value(9, '\1');
  EXPECT_TRUE(is_record(tree::entry_key(1, "name"), value));
  EXPECT_FALSE(is_record(tree::entry_key_from(1, tree::name_hash("name")) + "other", value));
}

TEST(RecordFormat, ExtentThatBeginsBelowZeroIsNone) {
  std::string value;
  append_u64(value, 100);
  value += block(1, 1) + std::string(12, 'b');
  EXPECT_TRUE(is_record(tree::extent_key(1, 100), value));
  EXPECT_FALSE(is_record(tree::extent_key(1, 99), value));
  value.replace(0, 8, std::string(8, '\0'));
  EXPECT_FALSE(is_record(tree::extent_key(1, 100), value)) << "an empty one";
}

TEST(RecordFormat, ExtentOfAnotherInodesBlockIsNone) {
  std::string value;
  append_u64(value, 100);
  value += block(1, 2) + std::string(12, 'b');
  EXPECT_FALSE(is_record(tree::extent_key(1, 100), value));
}

}  // namespace
}  // namespace chordfs::tree_test
