#pragma once
// Compare: whether copies of an arc are equal, for `chordfs verify`. Pure; any thread.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "proto/wire/arc.pb.h"

namespace chordfs::cli {

/// Something that is not as it should be.
struct Finding {
  enum class Kind { no_leader, no_answer, changing, records_differ, block_missing, block_differs, block_bad };
  Kind kind = Kind::no_leader;
  std::uint32_t arc = 0;
  std::string node;   ///< HOST:PORT; empty: of the arc as a whole.
  std::string block;  ///< In hexadecimal; empty: not about one.
  friend auto operator<=>(const Finding&, const Finding&) = default;
};
/// "block_missing", for JSON.
std::string name_of(Finding::Kind kind);
/// One line for a person, after the node's name.
std::string text_of(const Finding& finding);

/// What the members of one arc have answered, in several rounds: they apply one log, each at its own pace, so records
/// can be compared where two have stood at the same index, no matter in which round.
class Copies {
 public:
  enum class Verdict { equal, changing, differ };

  void add(const std::string& node, const wire::ArcHash& hash);
  /// Begins anew: a member that was asked is none any more.
  void clear() { copies_.clear(); }

  /// equal: every copy has been compared with every other, directly or through others. `nodes`: who has to be among
  /// them.
  Verdict records(const std::set<std::string>& nodes) const;
  /// Of the latest answers: changing where they differ, for a block is put before the log names it.
  Verdict blocks(const std::set<std::string>& nodes) const;
  /// Nodes whose records differ from those that most have at the same index; all of them if no majority is right.
  std::set<std::string> with_other_records() const;
  /// Blocks that a node could not read, or not as they were written.
  std::map<std::string, std::set<std::string>> bad_blocks() const;

 private:
  struct Copy {
    std::map<std::uint64_t, std::string> records;  ///< Hash at each index at which it answered.
    std::string blocks;
    std::set<std::string> bad;
  };
  std::map<std::string, Copy> copies_;
};

/// The blocks that one copy holds, and their lengths.
using Held = std::map<std::string, std::uint32_t>;
/// What each lacks that another has, and what they hold in different lengths.
std::vector<Finding> compare_blocks(std::uint32_t arc, const std::map<std::string, Held>& held);
/// Buckets of identifiers of which not all copies have the same sum; all of them if an answer is not complete.
std::vector<std::uint32_t> differing_buckets(const std::vector<wire::BlockSums>& sums);

}  // namespace chordfs::cli
