#pragma once
// What an arc replicates, seen from the arc: a pure function it does not understand. The tree (daemon/tree) is one.
// Thread: any; implementations hold no state of their own, all state is in the records.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace chordfs {

/// The ordered records of one arc, to read.
class Records {
 public:
  virtual ~Records() = default;
  virtual std::optional<std::string> get(std::string_view key) const = 0;
  /// Keys in [from, to) in order until `visit` returns false. An empty `to` means no end.
  virtual void scan(std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& visit) const = 0;
};

/// … and to change. A later read in the same operation sees the change.
class MutableRecords : public Records {
 public:
  virtual void put(std::string_view key, std::string value) = 0;
  virtual void erase(std::string_view key) = 0;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;
  /// The records of arc `arc` at log index 0, when the ring is created.
  virtual void create(std::uint32_t arc, MutableRecords& records) const = 0;
  /// Applies the operation that is committed at `index`; returns its answer. Same records, index and operation: same
  /// result, on every member, at any time. Never fails: an operation that makes no sense is answered with an error.
  virtual std::string apply(std::uint32_t arc, MutableRecords& records, std::uint64_t index,
                            std::string_view operation) const = 0;
  virtual std::string query(std::uint32_t arc, const Records& records, std::string_view query) const = 0;
  /// Whether it could have written this record, as far as one alone can tell: what another node sends is looked at.
  virtual bool is_record(std::string_view key, std::string_view value) const = 0;
};

}  // namespace chordfs
