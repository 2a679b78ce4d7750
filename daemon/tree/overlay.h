#pragma once
// Overlay: changes to records that are kept aside until it is certain that all of them are wanted. Steps are run on
// one, and it is dropped when a step is refused, so a transaction leaves all of its changes or none.
// Owner: one operation. Thread: the caller's. `below` outlives it and does not change meanwhile.

#include <map>
#include <optional>
#include <string>

#include "daemon/arc/state_machine.h"

namespace chordfs::tree {

class Overlay final : public MutableRecords {
 public:
  explicit Overlay(const Records& below) : below_(below) {}

  std::optional<std::string> get(std::string_view key) const override;
  /// `visit` must not change this overlay: collect first.
  void scan(std::string_view from, std::string_view to,
            const std::function<bool(std::string_view, std::string_view)>& visit) const override;
  void put(std::string_view key, std::string value) override;
  void erase(std::string_view key) override;

  void write_to(MutableRecords& records) &&;

 private:
  const Records& below_;
  std::map<std::string, std::optional<std::string>, std::less<>> changes_;  ///< Nothing: erased.
};

}  // namespace chordfs::tree
