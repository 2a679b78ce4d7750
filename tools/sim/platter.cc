#include "tools/sim/platter.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "proto/base/check.h"

namespace chordfs {

namespace {
/// A power loss brings back no file that was erased longer ago: by then the file system has written it down.
constexpr Duration kErasureForgottenAfter = 30s;
}  // namespace

// ---- Records ----

std::optional<std::string> MapView::get(std::string_view key) const {
  auto at = records_->find(key);
  if (at == records_->end()) return std::nullopt;
  return at->second;
}

void MapView::scan(std::string_view from, std::string_view to,
                   const std::function<bool(std::string_view, std::string_view)>& visit) const {
  for (auto at = records_->lower_bound(from); at != records_->end(); ++at)
    if ((!to.empty() && at->first >= to) || !visit(at->first, at->second)) return;
}

RecordMap& CopiedRecords::own() {
  if (records_.use_count() > 1) records_ = std::make_shared<RecordMap>(*records_);
  return *records_;
}

RecordMap::iterator CopiedRecords::erase(RecordMap::iterator at) {
  bytes_ -= at->first.size() + at->second.size();
  return records_->erase(at);
}

void CopiedRecords::apply(Batch batch) {
  if (batch.empty()) return;
  auto& records = own();
  for (const auto& range : batch.erased)
    for (auto at = records.lower_bound(range.from); at != records.end() && (range.to.empty() || at->first < range.to);)
      at = erase(at);
  for (auto& change : batch.changes) {
    CHECK(change.key.size() < kKeyBytesMax, "key of {} bytes", change.key.size());
    const auto at = records.lower_bound(change.key);
    const bool found = at != records.end() && at->first == change.key;
    if (!change.value) {
      if (found) erase(at);
      continue;
    }
    bytes_ += change.value->size();
    if (found) {
      bytes_ -= at->second.size();
      at->second = std::move(*change.value);
    } else {
      bytes_ += change.key.size();
      records.emplace_hint(at, std::move(change.key), std::move(*change.value));
    }
  }
}

bool CopiedRecords::flip(const std::string& key, std::uint64_t chance) {
  auto at = own().find(key);
  if (at == records_->end() || at->second.empty()) return false;
  at->second[chance / 8 % at->second.size()] ^= static_cast<char>(1 << chance % 8);
  return true;
}

// ---- The platter ----

std::optional<Error> Platter::fault(DiskOperation operation) {
  auto asked = std::exchange(next_fault[static_cast<std::size_t>(operation)], std::nullopt);
  constexpr std::uint64_t kScale = std::uint64_t{1} << 40;
  if (!asked && options.io_error_probability > 0 &&
      static_cast<double>(world.below(kScale)) < options.io_error_probability * static_cast<double>(kScale))
    asked = Errc::io_error;
  if (!asked) return std::nullopt;
  return Error{*asked, "injected fault"};
}

std::optional<Error> Platter::refuse(std::uint64_t more) const {
  if (more == 0 || used() + more <= options.capacity_bytes) return std::nullopt;
  return Error{Errc::disk_full, fmt::format("{} of {} bytes used", used(), options.capacity_bytes)};
}

void Platter::apply(Batch batch) {
  current.apply(batch);
  unsynced_.push_back(std::move(batch));
}

void Platter::sync() {
  for (auto& batch : unsynced_) durable.apply(std::move(batch));
  unsynced_.clear();
}

std::optional<Bytes> Platter::take(const std::string& name) {
  auto at = files.find(name);
  if (at == files.end()) return std::nullopt;
  auto contents = std::move(at->second);
  file_bytes_ -= contents.size();
  files.erase(at);
  return contents;
}

void Platter::put(const std::string& name, Bytes contents) {
  take(name);
  file_bytes_ += contents.size();
  files[name] = std::move(contents);
}

void Platter::erase(const std::string& name) {
  auto now = world.now();
  std::erase_if(erased_, [&](const Erased& e) { return e.name == name || e.when + kErasureForgottenAfter < now; });
  if (auto contents = take(name)) erased_.push_back({name, std::move(*contents), now});
}

void Platter::crash(Crash kind, std::vector<Batch> running, PutsUnderWay puts) {
  std::vector<Batch> perhaps;
  if (kind == Crash::power_loss) {
    std::ranges::move(std::exchange(unsynced_, {}), std::back_inserter(perhaps));
    current = durable;
  }
  std::ranges::move(std::exchange(doubtful_, {}), std::back_inserter(perhaps));
  std::ranges::move(running, std::back_inserter(perhaps));
  auto kept = world.below(perhaps.size() + 1);
  for (std::size_t i = 0; i < kept; ++i) apply(std::move(perhaps[i]));
  if (kind == Crash::power_loss) sync();
  for (const auto& [name, contents] : puts) settle(kind, name, contents);
  if (kind == Crash::power_loss) resurrect();
}

/// A file whose put was under way: as it was before, whole, or torn.
void Platter::settle(Crash kind, const std::string& name, const Bytes& contents) {
  auto fate = world.below(3);
  if (fate == 0) put(name, contents);
  if (fate != 1 || kind != Crash::power_loss || !options.torn_files) return;
  std::string torn(contents.view().substr(0, world.below(contents.size() + 1)));
  for (auto at = world.below(torn.size() + 1); at < torn.size(); ++at) torn[at] = 0;
  put(name, Bytes::take(std::move(torn)));
}

void Platter::resurrect() {
  for (auto& [name, contents, when] : std::exchange(erased_, {}))
    if (when + kErasureForgottenAfter >= world.now() && !files.contains(name) && world.below(2) == 0)
      put(name, std::move(contents));
}

}  // namespace chordfs
