#pragma once
// The records of one arc as its state machine sees them: keys without the arc's prefix, checksums verified and removed,
// and changes of this turn laid over what is on disk. Thread: whichever runs the disk's plan; no state is shared.

#include <map>

#include "daemon/arc/state_machine.h"
#include "daemon/store/disk.h"
#include "proto/id/id.h"

namespace chordfs {

/// Changes of one plan, over all arcs it touches, by key on disk.
class Overlay {
 public:
  explicit Overlay(const RecordView& base) : base_(base) {}

  std::optional<std::string> get(const std::string& key) const;
  void scan(const std::string& from, const std::string& to,
            const std::function<bool(std::string_view, std::string_view)>& visit) const;
  void put(std::string key, std::string value) { changes_.insert_or_assign(std::move(key), std::move(value)); }
  void erase(std::string key) { changes_.insert_or_assign(std::move(key), std::nullopt); }
  Batch take();

 private:
  const RecordView& base_;
  std::map<std::string, std::optional<std::string>> changes_;
};

class ArcRecords : public MutableRecords {
 public:
  ArcRecords(ArcNumber arc, Overlay& overlay) : arc_(arc), overlay_(overlay) {}

  std::optional<std::string> get(std::string_view key) const override;
  void scan(std::string_view from, std::string_view to,
            const std::function<bool(std::string_view, std::string_view)>& visit) const override;
  void put(std::string_view key, std::string value) override;
  void erase(std::string_view key) override;

  /// Set once a record failed its checksum: whatever was computed from these records must be thrown away.
  bool corrupt() const { return corrupt_; }

 private:
  ArcNumber arc_;
  Overlay& overlay_;
  mutable bool corrupt_ = false;
};

}  // namespace chordfs
