#include "daemon/arc/raft/defects.h"

#include <algorithm>
#include <iterator>

namespace chordfs {

namespace {
constexpr DefectName kDefects[] = {
    {Defect::ack_before_fsync, "ack_before_fsync"},
    {Defect::vote_not_persisted, "vote_not_persisted"},
    {Defect::amnesia_after_wipe, "amnesia_after_wipe"},
    {Defect::no_joint_consensus, "no_joint_consensus"},
    {Defect::stale_read, "stale_read"},
    {Defect::old_term_counted, "old_term_counted"},
    {Defect::requests_not_remembered, "requests_not_remembered"},
    {Defect::generation_reused, "generation_reused"},
    {Defect::learner_promoted_early, "learner_promoted_early"},
    {Defect::snapshot_drops_suffix, "snapshot_drops_suffix"},
    {Defect::quorum_shrunk_on_suspicion, "quorum_shrunk_on_suspicion"},
    {Defect::block_acknowledged_early, "block_acknowledged_early"},
    {Defect::block_deleted_while_named, "block_deleted_while_named"},
    {Defect::sweep_ignores_open_session, "sweep_ignores_open_session"},
    {Defect::fsync_matched_by_index, "fsync_matched_by_index"},
    {Defect::late_prepare_accepted, "late_prepare_accepted"},
    {Defect::early_contact, "early_contact"},
    {Defect::removed_may_not_campaign, "removed_may_not_campaign"},
    {Defect::pre_vote_does_not_teach, "pre_vote_does_not_teach"},
    {Defect::append_before_joint_commits, "append_before_joint_commits"},
    {Defect::applied_before_commit, "applied_before_commit"},
    {Defect::leases_not_waited_out, "leases_not_waited_out"},
    {Defect::lease_not_recalled, "lease_not_recalled"},
    {Defect::dirmove_shared, "dirmove_shared"},
    {Defect::transaction_step_unlogged, "transaction_step_unlogged"},
    {Defect::ring_not_asked, "ring_not_asked"},
    {Defect::writer_not_waited_for, "writer_not_waited_for"},
    {Defect::written_behind_others, "written_behind_others"},
};
}  // namespace

std::span<const DefectName> defects() {
  return kDefects;
}

std::optional<Defect> find_defect(std::string_view name) {
  auto found = std::ranges::find(kDefects, name, &DefectName::name);
  return found == std::end(kDefects) ? std::nullopt : std::optional(found->defect);
}

std::string_view name_of(Defect defect) {
  auto found = std::ranges::find(kDefects, defect, &DefectName::defect);
  return found == std::end(kDefects) ? "none" : found->name;
}

}  // namespace chordfs
