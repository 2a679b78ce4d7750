#include "daemon/tree/overlay.h"

namespace chordfs::tree {

std::optional<std::string> Overlay::get(std::string_view key) const {
  if (auto change = changes_.find(key); change != changes_.end()) return change->second;
  return below_.get(key);
}

void Overlay::scan(std::string_view from, std::string_view to,
                   const std::function<bool(std::string_view, std::string_view)>& visit) const {
  auto change = changes_.lower_bound(from);
  bool wanted = true;
  auto next_is_before = [&](std::string_view key) {
    return wanted && change != changes_.end() && (key.empty() || change->first < key);
  };
  auto visit_change = [&] {
    if (change->second) wanted = visit(change->first, *change->second);
    ++change;
  };
  below_.scan(from, to, [&](std::string_view key, std::string_view value) {
    while (next_is_before(key)) visit_change();
    if (!wanted) return false;
    if (change != changes_.end() && change->first == key)
      visit_change();
    else
      wanted = visit(key, value);
    return wanted;
  });
  while (next_is_before(to)) visit_change();
}

void Overlay::put(std::string_view key, std::string value) {
  changes_.insert_or_assign(std::string(key), std::move(value));
}

void Overlay::erase(std::string_view key) {
  changes_.insert_or_assign(std::string(key), std::nullopt);
}

void Overlay::write_to(MutableRecords& records) && {
  for (auto& [key, value] : changes_) {
    if (value)
      records.put(key, *std::move(value));
    else
      records.erase(key);
  }
  changes_.clear();
}

}  // namespace chordfs::tree
