#pragma once
// Mistakes that can be planted on purpose, to see whether the simulator's checks bite (tests/sim/README.md has the
// table). None is ever planted outside the simulator: nothing in production sets one.
// Thread: one world at a time; set before it begins.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace chordfs {

enum class Defect : std::uint8_t {
  none,
  ack_before_fsync,
  vote_not_persisted,
  amnesia_after_wipe,
  no_joint_consensus,
  stale_read,
  old_term_counted,
  requests_not_remembered,
  generation_reused,
  learner_promoted_early,
  snapshot_drops_suffix,
  quorum_shrunk_on_suspicion,
  block_acknowledged_early,
  block_deleted_while_named,
  sweep_ignores_open_session,
  fsync_matched_by_index,
  late_prepare_accepted,
  early_contact,
  removed_may_not_campaign,
  pre_vote_does_not_teach,
  append_before_joint_commits,
  applied_before_commit,
  leases_not_waited_out,
  lease_not_recalled,
  dirmove_shared,
  transaction_step_unlogged,
  ring_not_asked,
  writer_not_waited_for,
  written_behind_others,
};

struct DefectName {
  Defect defect;
  std::string_view name;
};
std::span<const DefectName> defects();
std::optional<Defect> find_defect(std::string_view name);
std::string_view name_of(Defect defect);

namespace detail {
inline Defect planted_defect = Defect::none;
}
inline bool planted(Defect defect) {
  return detail::planted_defect == defect;
}
/// For the simulator only.
inline void plant(Defect defect) {
  detail::planted_defect = defect;
}

}  // namespace chordfs
