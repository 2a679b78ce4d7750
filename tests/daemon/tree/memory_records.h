#pragma once
// The records of an arc in a std::map: what a tree runs on where no disk is wanted.

#include <map>
#include <optional>
#include <string>

#include "daemon/arc/state_machine.h"

namespace chordfs {

class MemoryRecords final : public MutableRecords {
 public:
  using Map = std::map<std::string, std::string, std::less<>>;

  std::optional<std::string> get(std::string_view key) const override {
    auto at = map_.find(key);
    return at == map_.end() ? std::nullopt : std::optional(at->second);
  }
  void scan(std::string_view from, std::string_view to,
            const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    for (auto at = map_.lower_bound(from); at != map_.end() && (to.empty() || at->first < to); ++at)
      if (!visit(at->first, at->second)) return;
  }
  void put(std::string_view key, std::string value) override {
    map_.insert_or_assign(std::string(key), std::move(value));
  }
  void erase(std::string_view key) override {
    if (auto at = map_.find(key); at != map_.end()) map_.erase(at);
  }

  const Map& map() const { return map_; }

 private:
  Map map_;
};

}  // namespace chordfs
