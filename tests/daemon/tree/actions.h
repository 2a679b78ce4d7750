#pragma once
// Random actions for the property tests: rapidcheck makes the numbers (and shrinks the list when one fails), the tests
// read small choices out of them.

#include <rapidcheck.h>

#include <cstdint>
#include <vector>

namespace chordfs::tree_test {

class Action {
 public:
  explicit Action(std::uint64_t bits) : bits_(bits) {}
  /// The next choice, in [0, bound).
  std::uint64_t below(std::uint64_t bound) {
    auto choice = bits_ % bound;
    bits_ = bits_ / bound + 0x9e3779b97f4a7c15ULL * ++draws_;
    return choice;
  }

 private:
  std::uint64_t bits_;
  std::uint64_t draws_ = 0;
};

/// Up to `actions_max` of them. The size that rapidcheck grows does not limit the numbers, only how many there are.
inline rc::Gen<std::vector<std::uint64_t>> actions(int actions_max) {
  return rc::gen::withSize([actions_max](int size) {
    auto number = rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint64_t>());
    return rc::gen::resize(size * actions_max / rc::kNominalSize,
                           rc::gen::container<std::vector<std::uint64_t>>(number));
  });
}

}  // namespace chordfs::tree_test
