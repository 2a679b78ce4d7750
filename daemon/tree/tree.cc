#include "daemon/tree/tree.h"

#include <limits>

#include "daemon/tree/housekeeping.h"
#include "daemon/tree/outcome.h"
#include "daemon/tree/queries.h"
#include "daemon/tree/record_format.h"
#include "daemon/tree/sessions.h"
#include "daemon/tree/steps.h"
#include "daemon/tree/transactions.h"
#include "proto/wire/limits.h"

namespace chordfs {

namespace {
using namespace tree;

/// All steps or none.
wire::Answer execute(const Moment& moment, MutableRecords& records, const wire::Part& part, std::uint64_t session) {
  if (part.arc() != moment.place.arc) return refusal(Errc::invalid, "a part for another arc");
  State state(moment.place, records, moment.now);
  StepRunner runner(state, Locks::foreign, session);
  if (auto outcome = runner.run(part.steps()); !outcome) return outcome.error();
  wire::Answer answer;
  runner.describe(part.steps(), answer);
  std::move(state).commit(records);
  return answer;
}

/// What a session asks for: done once, answered as often as it is asked.
wire::Answer apply_once(const Moment& moment, MutableRecords& records, const wire::Operation& operation) {
  const auto* identity = operation.has_identity() ? &operation.identity() : nullptr;
  if (identity)
    if (auto answer = recall(moment.place, records, *identity)) {
      answer->set_unsettled(true);
      return *std::move(answer);
    }
  auto answer = operation.has_begin() ? begin(moment, records, operation.begin(), identity)
                                      : execute(moment, records, operation.execute(), operation.identity().session());
  bool is_final = !answer.has_tx() && error_of(answer) != Errc::busy && error_of(answer) != Errc::being_written;
  if (identity && is_final) remember(records, *identity, answer);
  return answer;
}

template <class Work>
wire::Answer with_state(const Moment& moment, MutableRecords& records, Work work) {
  State state(moment.place, records, moment.now);
  auto answer = work(state);
  if (answer.error() == 0) std::move(state).commit(records);
  return answer;
}

wire::Answer apply_operation(const Moment& moment, MutableRecords& records, const wire::Operation& operation) {
  switch (operation.kind_case()) {
    case wire::Operation::kExecute:
    case wire::Operation::kBegin:
      return apply_once(moment, records, operation);
    case wire::Operation::kPrepare:
      return prepare(moment, records, operation.prepare());
    case wire::Operation::kDecide:
      return decide(moment, records, operation.decide());
    case wire::Operation::kFinish:
      return finish(moment, records, operation.finish());
    case wire::Operation::kForget:
      return forget(records, operation.forget());
    case wire::Operation::kOpenSession:
      return open_session(moment.place, records, operation.open_session());
    case wire::Operation::kCloseSession:
      return close_session(moment.place, records, operation.close_session());
    case wire::Operation::kFenceSession:
      return fence_session(moment.place, records, operation.fence_session());
    case wire::Operation::kPurge:
      return with_state(moment, records, [&](State& state) { return purge(state, operation.purge()); });
    case wire::Operation::kClearOutbox:
      return with_state(moment, records, [&](State& state) { return clear_outbox(state, operation.clear_outbox()); });
    case wire::Operation::KIND_NOT_SET:
      break;
  }
  return refusal(Errc::bad_message, "an operation of unknown kind");
}

bool parse(google::protobuf::MessageLite& message, std::string_view bytes) {
  return bytes.size() <= std::numeric_limits<int>::max() &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}
}  // namespace

void Tree::create(std::uint32_t arc, MutableRecords& records) const {
  if (arc != 0) return;
  State state({arcs_, arc}, records, 0);
  wire::Inode root;
  auto* attr = root.mutable_attr();
  attr->set_ino(kRootIno);
  attr->set_type(wire::FILE_DIRECTORY);
  attr->set_mode(0755);
  attr->set_nlink(2);
  attr->set_parent(kRootIno);
  attr->set_version(1);
  state.create_inode(std::move(root));
  std::move(state).commit(records);
}

std::string Tree::apply(std::uint32_t arc, MutableRecords& records, std::uint64_t index,
                        std::string_view operation) const {
  wire::Operation parsed;
  if (!parse(parsed, operation)) return serialize(refusal(Errc::bad_message, "not an operation"));
  auto answer = apply_operation({{arcs_, arc}, index, parsed.now()}, records, parsed);
  answer.set_pending_outbox(load_usage(records).pending());
  return serialize(answer);
}

std::string Tree::query(std::uint32_t arc, const Records& records, std::string_view query) const {
  wire::Query parsed;
  wire::QueryAnswer answer;
  if (parse(parsed, query)) {
    answer = answer_query({arcs_, arc}, records, parsed);
  } else {
    answer.set_error(static_cast<std::uint32_t>(Errc::bad_message));
    answer.set_context("not a query");
  }
  return serialize(answer);
}

bool Tree::is_record(std::string_view key, std::string_view value) const {
  return tree::is_record(key, value);
}

}  // namespace chordfs
