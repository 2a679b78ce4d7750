#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tools/cli/subcommand.h"

namespace chordfs::cli {
namespace {

using ::testing::HasSubstr;

int parse(std::vector<const char*> arguments) {
  Program program;
  add_all(program);
  arguments.insert(arguments.begin(), "chordfs");
  try {
    program.app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::ParseError& error) {
    return program.app.exit(error) == 0 ? kDone : kWrongUsage;
  }
  return program.chosen ? kDone : kFailed;
}

TEST(CommandLine, EverySubcommandHasItsHelp) {
  Program program;
  add_all(program);
  auto all = program.app.get_subcommands({});
  EXPECT_EQ(all.size(), 16U);
  for (auto* sub : all) {
    auto help = sub->help();
    EXPECT_THAT(help, HasSubstr("Exit codes: 0 done; 1 failed")) << sub->get_name();
    EXPECT_THAT(help, HasSubstr("For example:  chordfs " + sub->get_name())) << sub->get_name();
    EXPECT_THAT(help, HasSubstr("--via")) << sub->get_name();
    bool json = sub->get_option_no_throw("--json") != nullptr;
    EXPECT_EQ(json, help.find("--json prints ") != std::string::npos) << sub->get_name();
  }
}

TEST(CommandLine, WhatPrintsDataPrintsJson) {
  Program program;
  add_all(program);
  for (const char* name : {"ring", "status", "watch", "fingers", "files", "locate", "ls", "verify", "can-stop"})
    EXPECT_NE(program.app.get_subcommand(name)->get_option_no_throw("--json"), nullptr) << name;
}

TEST(CommandLine, MistakesAreOneLineThatNamesTheSubcommand) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(parse({"put", "file"}), kWrongUsage);
  auto line = testing::internal::GetCapturedStderr();
  EXPECT_EQ(line, "chordfs put: PATH is required (see chordfs put --help)\n");
}

TEST(CommandLine, WrongOnesAreRefused) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(parse({}), kWrongUsage);
  EXPECT_EQ(parse({"dance"}), kWrongUsage);
  EXPECT_EQ(parse({"fingers", "banana"}), kWrongUsage);
  EXPECT_EQ(parse({"can-stop", "banana"}), kWrongUsage);
  EXPECT_EQ(parse({"can-stop"}), kWrongUsage);
  EXPECT_EQ(parse({"get", "/a", "--resume", "-r"}), kWrongUsage);
  EXPECT_EQ(parse({"put", "a", "/b", "--limit", "fast"}), kWrongUsage);
  EXPECT_EQ(parse({"watch", "--count", "-1"}), kWrongUsage);
  testing::internal::GetCapturedStderr();
}

TEST(CommandLine, RightOnesAreTaken) {
  EXPECT_EQ(parse({"ring", "--via", "6000", "--json"}), kDone);
  EXPECT_EQ(parse({"put", "a", "/b", "--limit", "5M", "-r"}), kDone);
  EXPECT_EQ(parse({"fingers", "1f2e3d4c"}), kDone);
  EXPECT_EQ(parse({"rm", "-r", "/a", "/b"}), kDone);
  EXPECT_EQ(parse({"status", "--watch", "--json"}), kDone);
  EXPECT_EQ(parse({"can-stop", "6001"}), kDone);
  EXPECT_EQ(parse({"verify", "--quick"}), kDone);
  EXPECT_EQ(parse({"leave", "6001", "--force"}), kDone);
}

}  // namespace
}  // namespace chordfs::cli
