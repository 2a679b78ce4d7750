#pragma once
// Rng: the simulator's only source of chance. Everything random descends from the world's seed; independent streams are
// derived from it by label, so that drawing more in one place changes nothing in another. Pure.

#include <bit>
#include <cstdint>
#include <string_view>

#include "proto/base/runtime.h"

namespace chordfs {

/// xoshiro256** (Blackman and Vigna 2018), seeded through splitmix64.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) {
    for (auto& word : state_) word = splitmix(seed);
  }
  /// A stream of its own for each (seed, label, index).
  static Rng derived(std::uint64_t seed, std::string_view label, std::uint64_t index = 0) {
    std::uint64_t mixed = splitmix(seed);
    for (unsigned char c : label) mixed = splitmix(mixed) ^ c;
    mixed = splitmix(mixed) ^ index;
    return Rng(splitmix(mixed));
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>(static_cast<unsigned __int128>(next()) * bound >> 64);
  }
  /// True with this probability. Costs no draw when it is 0, so that switching a fault off disturbs nothing else.
  bool chance(double probability) {
    if (probability <= 0) return false;
    return static_cast<double>(next() >> 11) * 0x1p-53 < probability;
  }
  /// Uniform in [low, high].
  Duration between(Duration low, Duration high) {
    if (high <= low) return low;
    return low + Duration(static_cast<std::int64_t>(below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }
  /// About exponential with this mean, in integers only, so that every compiler and libm gives the same: the number of
  /// leading zeros is geometric, the rest of the bits fill the gaps.
  Duration exponential(Duration mean) {
    const std::uint64_t bits = next();
    const auto zeros = static_cast<std::uint64_t>(std::countl_zero(bits | 1));
    const std::uint64_t fixed = zeros << 32 | (bits & 0xffffffff);  // Mean 1.5, in units of 2^-32.
    const auto scaled = static_cast<unsigned __int128>(fixed) * static_cast<std::uint64_t>(mean.count()) * 2 / 3;
    return Duration(static_cast<std::int64_t>(scaled >> 32));
  }

 private:
  static std::uint64_t splitmix(std::uint64_t& state) {
    state += 0x9e3779b97f4a7c15;
    std::uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  std::uint64_t state_[4];
};

}  // namespace chordfs
