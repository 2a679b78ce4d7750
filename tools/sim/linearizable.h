#pragma once
// Is a history of reads, writes and compare-and-swaps on registers linearizable? Wing and Gong's search with Lowe's
// memory of configurations (Lowe, Testing for linearizability, 2017), register by register. Pure; any thread.
// A register may be a record, or the contents of a whole file. What it was before the history is the empty string.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/base/runtime.h"

namespace chordfs {

struct RegisterOperation {
  enum class Kind { read, write, cas };

  std::uint32_t client = 0;
  Kind kind = Kind::read;
  std::string key;
  std::string value;     ///< Written, swapped in, or (after it returned) read.
  std::string expected;  ///< cas.
  bool swapped = true;   ///< cas: the answer.
};

/// Records operations as they happen. The order of the calls is the order in real time, so that two events at one
/// moment of virtual time are still ordered.
class History {
 public:
  using Id = std::size_t;
  struct Entry {
    RegisterOperation operation;
    Time invoked_at, returned_at;
    std::uint64_t invoked = 0;
    std::optional<std::uint64_t> returned;  ///< Nothing: unknown whether it happened, or will.
  };

  Id invoke(Time now, RegisterOperation operation);
  /// An operation whose outcome is unknown simply never returns.
  void returned(Time now, Id id);
  /// The same for one that has returned at that moment, of which only now it is known whether it counts.
  struct Moment {
    Time at;
    std::uint64_t event = 0;
  };
  Moment moment(Time now) { return {now, ++events_}; }
  void returned(Moment then, Id id);
  void returned_read(Time now, Id id, std::string value);
  void returned_cas(Time now, Id id, bool swapped);
  /// It failed, and certainly did not happen.
  void forget(Id id);

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
  std::vector<bool> forgotten_;
  std::uint64_t events_ = 0;

  friend struct Verdict check_linearizable(const History& history);
};

struct Verdict {
  enum class Outcome {
    linearizable,
    violated,
    gave_up,  ///< More than kConfigurationsMax configurations: too many operations of unknown outcome at once.
  };
  static constexpr std::size_t kConfigurationsMax = 4'000'000;

  Outcome outcome = Outcome::linearizable;
  std::string explanation;  ///< The shortest prefix that no order explains, without the reads that do not matter.

  bool ok() const { return outcome == Outcome::linearizable; }
};

Verdict check_linearizable(const History& history);

}  // namespace chordfs
