#include "daemon/tree/transactions.h"

#include <set>
#include <vector>

#include "daemon/arc/raft/defects.h"
#include "daemon/tree/keys.h"
#include "daemon/tree/locks.h"
#include "daemon/tree/sessions.h"
#include "daemon/tree/steps.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

namespace chordfs::tree {

namespace {
// ---- Records. T: length of the first (4), Coordinated, Answer. R: one letter, then (prepared) the Part. ----

struct CoordinatedRecord {
  wire::QueryAnswer::Coordinated head;
  wire::Answer answer;  ///< Once decided.
};

std::string encode(const CoordinatedRecord& record) {
  auto head = serialize(record.head);
  std::string value;
  append_u32(value, static_cast<std::uint32_t>(head.size()));
  return value + head + serialize(record.answer);
}

CoordinatedRecord decode_coordinated(std::string_view value) {
  CHECK(value.size() >= 4);
  auto size = read_u32(value);
  value.remove_prefix(4);
  CHECK(value.size() >= size);
  CoordinatedRecord record;
  auto rest = value.substr(size);
  CHECK(record.head.ParseFromArray(value.data(), static_cast<int>(size)) &&
        record.answer.ParseFromArray(rest.data(), static_cast<int>(rest.size())));
  return record;
}

constexpr char kPrepared = 'P', kCommitted = 'C', kAborted = 'A';

std::string encode_prepared(const Steps& steps) {
  wire::Part part;
  *part.mutable_steps() = steps;
  return kPrepared + serialize(part);
}

wire::Part decode_prepared(std::string_view value) {
  wire::Part part;
  CHECK(part.ParseFromArray(value.data() + 1, static_cast<int>(value.size() - 1)));
  return part;
}

std::uint64_t read_mark(const Records& records, std::uint32_t arc) {
  auto value = records.get(low_water_key(arc));
  return value ? read_u64(*value) : 0;
}

void write_mark(MutableRecords& records, std::uint32_t arc, std::uint64_t mark) {
  std::string value;
  append_u64(value, mark);
  records.put(low_water_key(arc), std::move(value));
}

// ---- Parts ----

Outcome check_part(const Moment& moment, const Records& records, const Steps& steps) {
  State state(moment.place, records, moment.now);
  return StepRunner(state, Locks::foreign).run(steps);
}

bool takes_locks(const wire::Step& step) {
  return !step.has_set_attr() && !step.has_commit() && !step.has_set_xattr() && !step.has_remove_xattr();
}

/// Applies a part that was checked when it took its locks. Steps without locks may have lost what they were about
/// meanwhile (the file was purged): they are passed over, as if they had come first.
void apply_part(const Moment& moment, MutableRecords& records, const Steps& steps, wire::Answer& answer) {
  release_locks(records, steps);
  State state(moment.place, records, moment.now);
  StepRunner runner(state, Locks::own);
  for (const auto& step : steps) {
    auto outcome = runner.run(step);
    CHECK(outcome || !takes_locks(step), "a prepared step was refused: {} {}", outcome.error().error(),
          outcome.error().context());
  }
  runner.describe(steps, answer);
  std::move(state).commit(records);
}

Outcome check_transaction(const Moment& moment, const wire::Transaction& transaction) {
  std::set<std::uint32_t> arcs;
  for (const auto& part : transaction.parts())
    if (part.arc() >= moment.place.arcs.count() || !arcs.insert(part.arc()).second)
      return refusal(Errc::invalid, "two parts for one arc, or one for none");
  if (arcs.empty() || transaction.parts(0).arc() != moment.place.arc)
    return refusal(Errc::invalid, "the first part is not the coordinator's");
  return {};
}

wire::TxId tx_of(const Moment& moment, std::uint64_t index) {
  wire::TxId tx;
  tx.set_arc(moment.place.arc);
  tx.set_index(index);
  return tx;
}
}  // namespace

// ---- Coordinator ----

wire::Answer begin(const Moment& moment, MutableRecords& records, const wire::Begin& begin,
                   const wire::Identity* identity) {
  const auto& transaction = begin.transaction();
  if (auto outcome = check_transaction(moment, transaction); !outcome) return outcome.error();
  const auto& steps = transaction.parts(0).steps();
  if (auto outcome = check_part(moment, records, steps); !outcome) return outcome.error();

  wire::Answer answer;
  *answer.mutable_tx() = tx_of(moment, moment.index);
  take_locks(records, answer.tx(), steps);
  CoordinatedRecord record;
  record.head.set_index(moment.index);
  *record.head.mutable_transaction() = transaction;
  record.head.set_state(wire::QueryAnswer::UNDECIDED);
  if (identity) {
    *record.head.mutable_identity() = *identity;
    remember_begun(records, *identity, answer.tx());
  }
  records.put(coordinated_key(moment.index), encode(record));
  write_mark(records, moment.place.arc, moment.index + 1);
  return answer;
}

wire::Answer decide(const Moment& moment, MutableRecords& records, const wire::Decide& decide) {
  auto value = records.get(coordinated_key(decide.index()));
  // Somebody else decided it meanwhile, and finished it (a node that led anew). What came of it the log knows: whoever
  // asked for it is to come again.
  if (!value) return refusal(Errc::locked, "no such transaction, or forgotten");
  auto record = decode_coordinated(*value);
  if (record.head.state() != wire::QueryAnswer::UNDECIDED) return record.answer;

  const auto& steps = record.head.transaction().parts(0).steps();
  if (decide.commit()) {
    apply_part(moment, records, steps, record.answer);
  } else {
    release_locks(records, steps);
    auto reason = decide.error() == 0 ? Errc::busy : static_cast<Errc>(decide.error());
    record.answer = refusal(reason, decide.context());
  }
  record.head.set_state(decide.commit() ? wire::QueryAnswer::COMMITTED : wire::QueryAnswer::ABORTED);
  records.put(coordinated_key(decide.index()), encode(record));

  // A session that has ended meanwhile is not to come back as a remembered answer.
  const auto& identity = record.head.identity();
  if (record.head.has_identity() && is_begun(records, identity, tx_of(moment, decide.index()))) {
    auto error = error_of(record.answer);
    if (error == Errc::locked || error == Errc::busy)
      forget_begun(records, identity);
    else
      remember(records, identity, record.answer);
  }
  return record.answer;
}

wire::Answer forget(MutableRecords& records, const wire::Forget& forget) {
  if (transaction_state(records, forget.index()) == wire::QueryAnswer::UNDECIDED)
    return refusal(Errc::invalid, "an undecided transaction");
  records.erase(coordinated_key(forget.index()));
  return {};
}

// ---- Participants ----

wire::Answer prepare(const Moment& moment, MutableRecords& records, const wire::Prepare& prepare) {
  const auto& tx = prepare.tx();
  if (tx.arc() == moment.place.arc || tx.arc() >= moment.place.arcs.count())
    return refusal(Errc::invalid, "prepared by the coordinator itself, or by none");
  if (tx.index() < read_mark(records, tx.arc()) && !planted(Defect::late_prepare_accepted))
    return refusal(Errc::invalid, "the transaction is over");
  auto key = prepared_key(tx.arc(), tx.index());
  if (auto value = records.get(key)) {
    if (value->front() == kAborted) return refusal(Errc::invalid, "the transaction is over");
    return {};
  }
  if (auto outcome = check_part(moment, records, prepare.steps()); !outcome) return outcome.error();
  take_locks(records, tx, prepare.steps());
  records.put(key, encode_prepared(prepare.steps()));
  return {};
}

namespace {
/// Transactions of the arc below `mark` are over: what is remembered of them is not needed any more.
void raise_mark(MutableRecords& records, std::uint32_t arc, std::uint64_t mark) {
  auto before = read_mark(records, arc);
  if (mark <= before) return;
  std::vector<std::string> over;
  records.scan(prepared_key(arc, before), prepared_key(arc, mark), [&](std::string_view key, std::string_view value) {
    if (value.front() != kPrepared) over.emplace_back(key);
    return true;
  });
  for (const auto& key : over) records.erase(key);
  write_mark(records, arc, mark);
}
}  // namespace

wire::Answer finish(const Moment& moment, MutableRecords& records, const wire::Finish& finish) {
  const auto& tx = finish.tx();
  if (tx.arc() == moment.place.arc || tx.arc() >= moment.place.arcs.count())
    return refusal(Errc::invalid, "finished by the coordinator itself, or by none");
  wire::Answer answer;
  auto key = prepared_key(tx.arc(), tx.index());
  auto value = records.get(key);
  bool is_prepared = value && value->front() == kPrepared;
  bool is_over = !is_prepared && (value || tx.index() < read_mark(records, tx.arc()));
  if (!is_prepared && !is_over && finish.commit())
    return refusal(Errc::invalid, "committed without the vote of this arc");
  if (is_prepared && finish.commit())
    apply_part(moment, records, decode_prepared(*value).steps(), answer);
  else if (is_prepared)
    release_locks(records, decode_prepared(*value).steps());
  // Also when nothing was prepared: the Prepare may still be on its way, and must find this. (The mark stops it too.)
  if (tx.index() < read_mark(records, tx.arc()))
    records.erase(key);
  else if (!is_over)
    records.put(key, std::string(1, finish.commit() ? kCommitted : kAborted));
  raise_mark(records, tx.arc(), finish.low_water());
  return answer;
}

// ---- Queries ----

wire::QueryAnswer::TxState transaction_state(const Records& records, std::uint64_t index) {
  auto value = records.get(coordinated_key(index));
  return value ? decode_coordinated(*value).head.state() : wire::QueryAnswer::UNKNOWN;
}

std::uint64_t low_water(const Place& place, const Records& records) {
  auto mark = read_mark(records, place.arc);
  auto range = keys_with_prefix("T");
  records.scan(range.from, range.to, [&](std::string_view key, std::string_view) {
    mark = number_in(key);
    return false;
  });
  return mark;
}

void list_transactions(const Place& place, const Records& records, wire::QueryAnswer& answer) {
  auto coordinated = keys_with_prefix("T");
  records.scan(coordinated.from, coordinated.to, [&](std::string_view, std::string_view value) {
    *answer.add_coordinated() = decode_coordinated(value).head;
    return true;
  });
  auto prepared = keys_with_prefix("R");
  records.scan(prepared.from, prepared.to, [&](std::string_view key, std::string_view value) {
    if (value.front() != kPrepared) return true;
    auto* tx = answer.add_intents()->mutable_tx();
    tx->set_arc(read_u32(key.substr(1)));
    tx->set_index(read_u64(key.substr(5)));
    return true;
  });
  answer.set_low_water(low_water(place, records));
}

}  // namespace chordfs::tree
