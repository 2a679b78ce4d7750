#include "proto/rpc/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chordfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Endpoint parsed(std::string_view text) {
  auto result = parse_endpoint(text);
  EXPECT_TRUE(result) << (result ? "" : result.error().text());
  return result.value_or(Endpoint{});
}

std::string refusal(std::string_view text) {
  auto result = parse_endpoint(text);
  EXPECT_EQ(result.code(), Errc::invalid) << text;
  return result ? "" : result.error().context;
}

TEST(Endpoint, PortAloneIsThisMachine) {
  EXPECT_EQ(parsed("6001"), (Endpoint{"127.0.0.1", 6001}));
}

TEST(Endpoint, HostAndPort) {
  EXPECT_EQ(parsed("node7.example:6001"), (Endpoint{"node7.example", 6001}));
  EXPECT_EQ(parsed("10.0.0.7:1"), (Endpoint{"10.0.0.7", 1}));
  EXPECT_EQ(parsed("a_b-c:65535"), (Endpoint{"a_b-c", 65535}));
}

TEST(Endpoint, BracketsHoldAnIpv6Address) {
  EXPECT_EQ(parsed("[::1]:6000"), (Endpoint{"::1", 6000}));
}

TEST(Endpoint, Ipv6AddressWithoutBracketsIsRefused) {
  EXPECT_THAT(refusal("::1:6000"), HasSubstr("[ADDRESS]:PORT"));
}

TEST(Endpoint, PortOutsideItsRangeIsRefused) {
  for (auto* text : {"0", "65536", "99999999999999", "h:0", "h:70000"})
    EXPECT_THAT(refusal(text), HasSubstr("1 to 65535")) << text;
}

TEST(Endpoint, PortThatIsNoNumberIsRefused) {
  for (auto* text : {"port", "h:port", "6001x", "-1", "+1", " 6001", "h:6001 "})
    EXPECT_THAT(refusal(text), HasSubstr("not a number")) << text;
}

TEST(Endpoint, MissingPartsAreNamed) {
  EXPECT_THAT(refusal(""), HasSubstr("port is missing"));
  EXPECT_THAT(refusal("h:"), HasSubstr("port is missing"));
  EXPECT_THAT(refusal("[::1]"), HasSubstr("port is missing"));
  EXPECT_THAT(refusal(":6001"), HasSubstr("host is missing"));
  EXPECT_THAT(refusal("[]:6001"), HasSubstr("host is missing"));
  EXPECT_THAT(refusal("[::1:6001"), HasSubstr("']' is missing"));
}

TEST(Endpoint, HostWithAForeignCharacterIsRefused) {
  for (auto* text : {"a b:6001", "http/x:6001", "a]:6001"}) EXPECT_THAT(refusal(text), HasSubstr("character")) << text;
}

TEST(Endpoint, HostThatIsTooLongIsRefused) {
  EXPECT_THAT(refusal(std::string(254, 'a') + ":1"), HasSubstr("too long"));
}

TEST(Endpoint, RefusalIsOneLineThatQuotesTheText) {
  EXPECT_EQ(refusal("h:0"), "'h:0' is not PORT or HOST:PORT: a port is 1 to 65535");
}

TEST(Endpoints, CommasSeparate) {
  auto all = parse_endpoints("6001,h:6002,[::1]:6003");
  ASSERT_TRUE(all);
  EXPECT_THAT(*all, ElementsAre(Endpoint{"127.0.0.1", 6001}, Endpoint{"h", 6002}, Endpoint{"::1", 6003}));
}

TEST(Endpoints, EmptyItemIsRefused) {
  EXPECT_EQ(parse_endpoints("6001,").code(), Errc::invalid);
  EXPECT_EQ(parse_endpoints("").code(), Errc::invalid);
}

}  // namespace
}  // namespace chordfs
