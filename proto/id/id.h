#pragma once
// Identifiers on the Chord circle (160 bits, Stoica et al. 2003) and the arcs that cut it. Pure; any thread.

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace chordfs {

/// A point on the circle modulo 2^160, most significant byte first.
class Id {
 public:
  static constexpr int kBits = 160;
  static constexpr std::size_t kBytes = kBits / 8;

  constexpr Id() = default;
  /// From the wire or the disk; anything but 20 bytes gives the zero identifier and false.
  static bool parse(std::string_view bytes, Id& out);
  /// SHA-256 (OpenSSL EVP) of the bytes, cut to its first 160 bits.
  static Id hash(std::string_view bytes);
  /// The identifier whose first eight bytes are `value` and the rest zero.
  static Id from_top(std::uint64_t value);

  std::string bytes() const { return {reinterpret_cast<const char*>(bytes_.data()), kBytes}; }
  /// First eight bytes as a number.
  std::uint64_t top() const;
  std::string hex() const;
  /// First 8 hexadecimal digits, for logs.
  std::string brief() const;

  /// this + 2^power modulo 2^160; 0 ≤ power < 160.
  Id plus_power(int power) const;
  Id operator+(const Id& other) const;
  Id operator-(const Id& other) const;

  friend auto operator<=>(const Id&, const Id&) = default;

 private:
  std::array<std::uint8_t, kBytes> bytes_{};
};

/// Zave's between: b is met strictly before c when walking clockwise from a. between(a, b, a) holds for all b ≠ a.
bool between(const Id& a, const Id& b, const Id& c);
/// key ∈ (from, to], the interval of keys that `to` owns when `from` precedes it. (a, a] is the whole circle.
bool owned(const Id& from, const Id& key, const Id& to);

using ArcNumber = std::uint32_t;

/// How the circle is cut: 2^bits equal arcs, fixed when the ring is created.
class ArcMap {
 public:
  static constexpr int kBitsDefault = 8;
  static constexpr int kBitsMax = 16;

  explicit ArcMap(int bits = kBitsDefault) : bits_(bits) {}

  int bits() const { return bits_; }
  ArcNumber count() const { return ArcNumber{1} << bits_; }
  ArcNumber arc_of(const Id& id) const { return bits_ == 0 ? 0 : static_cast<ArcNumber>(id.top() >> (64 - bits_)); }
  /// The arc's first identifier; its Chord successor owns the arc.
  Id point(ArcNumber arc) const { return Id::from_top(bits_ == 0 ? 0 : std::uint64_t{arc} << (64 - bits_)); }

 private:
  int bits_;
};

/// A 128-bit random identity: of a node's store, of a ring. Empty means "none".
class Uuid {
 public:
  static constexpr std::size_t kBytes = 16;
  constexpr Uuid() = default;
  Uuid(std::uint64_t high, std::uint64_t low);
  static bool parse(std::string_view bytes, Uuid& out);
  std::string bytes() const { return {reinterpret_cast<const char*>(bytes_.data()), kBytes}; }
  std::string hex() const;
  std::string brief() const { return hex().substr(0, 8); }
  bool empty() const { return *this == Uuid(); }
  friend auto operator<=>(const Uuid&, const Uuid&) = default;

 private:
  std::array<std::uint8_t, kBytes> bytes_{};
};

/// Where position `index` of a node stands on the circle: the hash of its identity and the index.
Id position_id(const Uuid& node, std::uint32_t index);

}  // namespace chordfs
