#include "daemon/arc/arc_records.h"

#include "daemon/arc/keys.h"
#include "daemon/store/log_record.h"

namespace chordfs {

std::optional<std::string> Overlay::get(const std::string& key) const {
  if (auto change = changes_.find(key); change != changes_.end()) return change->second;
  return base_.get(key);
}

void Overlay::scan(const std::string& from, const std::string& to,
                   const std::function<bool(std::string_view, std::string_view)>& visit) const {
  auto change = changes_.lower_bound(from);
  auto end = to.empty() ? changes_.end() : changes_.lower_bound(to);
  bool more = true;
  auto changes_before = [&](std::optional<std::string_view> key) {
    for (; more && change != end && (!key || change->first < *key); ++change)
      if (change->second) more = visit(change->first, *change->second);
  };
  base_.scan(from, to, [&](std::string_view key, std::string_view value) {
    changes_before(key);
    if (!more) return false;
    if (change != end && change->first == key) {
      if (change->second) more = visit(key, *change->second);
      ++change;
    } else {
      more = visit(key, value);
    }
    return more;
  });
  if (more) changes_before(std::nullopt);
}

Batch Overlay::take() {
  Batch batch;
  batch.changes.reserve(changes_.size());
  while (!changes_.empty()) {
    auto change = changes_.extract(changes_.begin());
    batch.changes.push_back({std::move(change.key()), std::move(change.mapped())});
  }
  return batch;
}

std::optional<std::string> ArcRecords::get(std::string_view key) const {
  auto stored = overlay_.get(keys::record(arc_, key));
  if (!stored) return std::nullopt;
  auto value = open_record(key, *stored);
  if (!value) {
    corrupt_ = true;
    return std::nullopt;
  }
  stored->resize(value->size());
  return stored;
}

void ArcRecords::scan(std::string_view from, std::string_view to,
                      const std::function<bool(std::string_view, std::string_view)>& visit) const {
  auto end = to.empty() ? keys::end_of_arc('a', arc_) : keys::record(arc_, to);
  overlay_.scan(keys::record(arc_, from), end, [&](std::string_view key, std::string_view stored) {
    key.remove_prefix(keys::kPrefixBytes);
    auto value = open_record(key, stored);
    if (!value) corrupt_ = true;
    return value && visit(key, *value);
  });
}

void ArcRecords::put(std::string_view key, std::string value) {
  overlay_.put(keys::record(arc_, key), seal_record(key, std::move(value)));
}

void ArcRecords::erase(std::string_view key) {
  overlay_.erase(keys::record(arc_, key));
}

}  // namespace chordfs
