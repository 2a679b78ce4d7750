#include "tools/cli/text.h"

#include <gtest/gtest.h>

namespace chordfs::cli {
namespace {

TEST(Text, Sizes) {
  EXPECT_EQ(human(std::uint64_t{0}), "0 B");
  EXPECT_EQ(human(std::uint64_t{1023}), "1023 B");
  EXPECT_EQ(human(std::uint64_t{1536}), "1.5 KiB");
  EXPECT_EQ(human(std::uint64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(human(~std::uint64_t{0}), "16.0 EiB");
}

TEST(Text, Durations) {
  EXPECT_EQ(human(Duration(0s)), "0:00");
  EXPECT_EQ(human(Duration(61s)), "1:01");
  EXPECT_EQ(human(Duration(3723s)), "1:02:03");
}

TEST(Text, Modes) {
  EXPECT_EQ(mode_text('-', 0644), "-rw-r--r--");
  EXPECT_EQ(mode_text('d', 01777), "drwxrwxrwt");
  EXPECT_EQ(mode_text('-', 04755), "-rwsr-xr-x");
  EXPECT_EQ(mode_text('-', 06644), "-rwSr-Sr--");
}

TEST(Text, Utf8) {
  EXPECT_TRUE(is_utf8("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"));
  EXPECT_FALSE(is_utf8("\xC0\x80"));          // Overlong.
  EXPECT_FALSE(is_utf8("\xED\xA0\x80"));      // A surrogate.
  EXPECT_FALSE(is_utf8("\xF4\x90\x80\x80"));  // Beyond the last character.
  EXPECT_FALSE(is_utf8("\xE2\x82"));          // Cut off.
  EXPECT_EQ(utf8("a\xFF"
                 "b"),
            "a\xEF\xBF\xBD"
            "b");
}

TEST(Text, NamesCannotSteerTheTerminal) {
  EXPECT_EQ(printable("a\033[2Jb\nc\x7F\xFF"), "a?[2Jb?c??");
  EXPECT_EQ(printable("caf\xC3\xA9"), "caf\xC3\xA9");
}

TEST(Text, LastPartOfAPath) {
  EXPECT_EQ(base_name("/a/b"), "b");
  EXPECT_EQ(base_name("/a/b//"), "b");
  EXPECT_EQ(base_name("b"), "b");
  EXPECT_EQ(base_name("/"), "");
}

}  // namespace
}  // namespace chordfs::cli
