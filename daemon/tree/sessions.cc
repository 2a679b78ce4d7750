#include "daemon/tree/sessions.h"

#include <algorithm>
#include <limits>
#include <set>

#include "daemon/arc/raft/defects.h"
#include "daemon/tree/file_locks.h"
#include "daemon/tree/housekeeping.h"
#include "daemon/tree/keys.h"
#include "daemon/tree/outcome.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

namespace chordfs::tree {

namespace {
// Header of a session: the first unacknowledged seq (8). All ones: the session was fenced.
constexpr std::uint64_t kFenced = std::numeric_limits<std::uint64_t>::max();
// Record of an answer: one of these, then the Answer.
constexpr char kFinal = 'A', kBegun = 'P';

void put_header(MutableRecords& records, std::uint64_t session, std::uint64_t first_unacked) {
  std::string value;
  append_u64(value, first_unacked);
  records.put(session_key(session), std::move(value));
}

void erase_within(MutableRecords& records, const std::string& from, const std::string& to) {
  std::vector<std::string> keys;
  records.scan(from, to, [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return true;
  });
  for (const auto& key : keys) records.erase(key);
}

void drop_answers(MutableRecords& records, std::uint64_t session) {
  auto range = keys_with_prefix(session_key(session));
  erase_within(records, range.from, range.to);
}

/// The session's first unacknowledged seq after what the identity says of it.
std::uint64_t acknowledge(MutableRecords& records, const wire::Identity& identity) {
  auto header = records.get(session_key(identity.session()));
  auto before = header ? read_u64(*header) : 0;
  if (header && before >= identity.first_unacked()) return before;
  auto session = identity.session();
  if (header) erase_within(records, answer_key(session, before), answer_key(session, identity.first_unacked()));
  put_header(records, session, identity.first_unacked());
  return identity.first_unacked();
}

void put_answer(MutableRecords& records, const wire::Identity& identity, char kind, const wire::Answer& answer) {
  std::string value(1, kind);
  CHECK(answer.AppendToString(&value));
  records.put(answer_key(identity.session(), identity.seq()), std::move(value));
}

wire::Answer parse_answer(std::string_view value) {
  wire::Answer answer;
  CHECK(!value.empty() && answer.ParseFromArray(value.data() + 1, static_cast<int>(value.size() - 1)));
  return answer;
}
}  // namespace

std::optional<wire::Answer> recall(const Place& place, MutableRecords& records, const wire::Identity& identity) {
  if (identity.session() == 0 || identity.seq() == 0 || identity.first_unacked() > identity.seq())
    return refusal(Errc::invalid, "an identity that cannot be");
  if (place.is_home_of(identity.session()) && !is_open(records, identity.session()))
    return refusal(Errc::session_closed, "the session is closed");
  auto first_unacked = acknowledge(records, identity);
  if (first_unacked == kFenced) return refusal(Errc::session_closed, "the session is fenced");
  if (identity.seq() < first_unacked) return refusal(Errc::invalid, "late duplicate");
  if (identity.seq() - first_unacked >= kSessionWindow)
    return refusal(Errc::busy, "too many operations unacknowledged");
  auto value = records.get(answer_key(identity.session(), identity.seq()));
  if (!value || planted(Defect::requests_not_remembered)) return std::nullopt;
  return parse_answer(*value);
}

void remember(MutableRecords& records, const wire::Identity& identity, const wire::Answer& answer) {
  put_answer(records, identity, kFinal, answer);
}

void remember_begun(MutableRecords& records, const wire::Identity& identity, const wire::TxId& tx) {
  wire::Answer answer;
  *answer.mutable_tx() = tx;
  put_answer(records, identity, kBegun, answer);
}

bool is_begun(const Records& records, const wire::Identity& identity, const wire::TxId& tx) {
  auto value = records.get(answer_key(identity.session(), identity.seq()));
  if (!value || value->front() != kBegun) return false;
  return parse_answer(*value).tx().index() == tx.index();
}

void forget_begun(MutableRecords& records, const wire::Identity& identity) {
  records.erase(answer_key(identity.session(), identity.seq()));
}

wire::Answer open_session(const Place& place, MutableRecords& records, const wire::OpenSession& operation) {
  auto counter = records.get(session_counter_key());
  auto number = (counter ? read_u64(*counter) : 0) + 1;
  std::string value;
  append_u64(value, number);
  records.put(session_counter_key(), std::move(value));
  auto session = number;
  if (place.arcs.bits() > 0) session |= std::uint64_t{place.arc} << (64 - place.arcs.bits());
  records.put(open_session_key(session), operation.name());
  wire::Answer answer;
  answer.set_session(session);
  return answer;
}

wire::Answer close_session(const Place& place, MutableRecords& records, const wire::CloseSession& operation) {
  if (!place.is_home_of(operation.session())) return refusal(Errc::invalid, "a session of another arc");
  records.erase(open_session_key(operation.session()));
  drop_answers(records, operation.session());
  drop_file_locks_of_session(records, operation.session());
  end_writings_of_session(place, records, operation.session());
  return {};
}

wire::Answer fence_session(const Place& place, MutableRecords& records, const wire::FenceSession& operation) {
  auto session = operation.session();
  if (place.is_home_of(session)) {
    if (is_open(records, session)) return refusal(Errc::invalid, "the session is open");
    return {};
  }
  drop_answers(records, session);
  drop_file_locks_of_session(records, session);
  end_writings_of_session(place, records, session);
  put_header(records, session, kFenced);
  return {};
}

bool is_open(const Records& records, std::uint64_t session) {
  return records.get(open_session_key(session)).has_value();
}

bool is_closed(const Place& place, const Records& records, std::uint64_t session) {
  if (place.is_home_of(session)) return !is_open(records, session);
  auto header = records.get(session_key(session));
  return header && read_u64(*header) == kFenced;
}

std::vector<std::uint64_t> list_sessions(const Records& records) {
  std::set<std::uint64_t> sessions;
  auto open = keys_with_prefix("N");
  records.scan(open.from, open.to, [&](std::string_view key, std::string_view) {
    if (key != session_counter_key()) sessions.insert(number_in(key));
    return true;
  });
  // From header to header, past the answers below each.
  auto headers = keys_with_prefix("S");
  auto from = headers.from;
  for (bool found = true; found;) {
    found = false;
    records.scan(from, headers.to, [&](std::string_view key, std::string_view value) {
      if (read_u64(value) != kFenced) sessions.insert(number_in(key));
      from = keys_with_prefix(session_key(number_in(key))).to;
      found = true;
      return false;
    });
  }
  return {sessions.begin(), sessions.end()};
}

}  // namespace chordfs::tree
