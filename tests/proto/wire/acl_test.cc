#include "proto/wire/acl.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace chordfs {

namespace {
enum Tag { owner = 1, user = 2, group = 4, named_group = 8, mask = 16, others = 32 };
struct Entry {
  Tag tag;
  int permissions;
  int id = -1;
};

std::string list(std::initializer_list<Entry> entries) {
  std::string value{2, 0, 0, 0};
  for (const auto& entry : entries) {
    value += {static_cast<char>(entry.tag), 0, static_cast<char>(entry.permissions), 0};
    for (int byte = 0; byte < 4; ++byte) value += static_cast<char>(entry.id >> (8 * byte));
  }
  return value;
}

Acl acl(std::initializer_list<Entry> entries) {
  auto parsed = Acl::parse(list(entries));
  EXPECT_TRUE(parsed);
  return *parsed;
}
bool whole(std::initializer_list<Entry> entries) {
  return Acl::parse(list(entries)).has_value();
}

TEST(Acl, IsWrittenAsItWasRead) {
  auto value = list({{owner, 7}, {user, 6, 1000}, {group, 5}, {mask, 7}, {others, 0}});
  EXPECT_EQ(Acl::parse(value)->value(), value);
}

TEST(Acl, WhatIsNotWholeIsRefused) {
  EXPECT_TRUE(whole({{owner, 7}, {group, 5}, {others, 0}}));
  EXPECT_FALSE(whole({{group, 5}, {others, 0}}));
  EXPECT_FALSE(whole({{owner, 7}, {owner, 7}, {group, 5}, {others, 0}}));
  EXPECT_FALSE(whole({{group, 5}, {owner, 7}, {others, 0}}));
  EXPECT_FALSE(whole({{owner, 8}, {group, 5}, {others, 0}}));
  EXPECT_FALSE(whole({{owner, 7}, {user, 6}, {group, 5}, {mask, 7}, {others, 0}})) << "a named user without a name";
  EXPECT_FALSE(whole({{owner, 7}, {user, 6, 1}, {group, 5}, {others, 0}})) << "named ones need a mask";
  EXPECT_TRUE(whole({{owner, 7}, {user, 6, 1}, {user, 6, 2}, {group, 5}, {named_group, 1, 3}, {mask, 7}, {others, 0}}));
  EXPECT_FALSE(Acl::parse("").has_value());
  EXPECT_FALSE(Acl::parse(std::string(4, '\2')).has_value());
  EXPECT_FALSE(Acl::parse(list({{owner, 7}, {group, 5}, {others, 0}}) + "x").has_value());
}

TEST(Acl, TheMasksPermissionsAreTheGroupBits) {
  EXPECT_EQ(acl({{owner, 7}, {group, 5}, {others, 1}}).mode(), 0751U);
  EXPECT_EQ(acl({{owner, 6}, {user, 7, 1}, {group, 5}, {mask, 2}, {others, 0}}).mode(), 0620U);
}

TEST(Acl, ChmodSetsTheMaskAndLeavesTheGroup) {
  auto changed = acl({{owner, 7}, {user, 7, 1}, {group, 5}, {mask, 7}, {others, 0}});
  changed.set_mode(0614);
  EXPECT_EQ(changed.value(), list({{owner, 6}, {user, 7, 1}, {group, 5}, {mask, 1}, {others, 4}}));
}

TEST(Acl, ANewObjectAllowsWhatBothAllow) {
  auto inherited = acl({{owner, 7}, {user, 7, 1}, {group, 5}, {mask, 7}, {others, 5}});
  EXPECT_EQ(inherited.create_with(02666), 02664U);
  EXPECT_EQ(inherited.value(), list({{owner, 6}, {user, 7, 1}, {group, 5}, {mask, 6}, {others, 4}}));
}
}  // namespace

}  // namespace chordfs
