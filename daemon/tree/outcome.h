#pragma once
// Outcome: how a step or an operation ended; either well, or with the Answer that tells why not. An Answer rather than
// an Error, because a refusal names more: who holds a lock, what stands where something else was expected.

#include <expected>
#include <string>
#include <utility>

#include "proto/base/result.h"
#include "proto/wire/tree.pb.h"

namespace chordfs::tree {

class [[nodiscard]] Outcome : public std::expected<void, wire::Answer> {
 public:
  using std::expected<void, wire::Answer>::expected;
  Outcome(wire::Answer refusal) : std::expected<void, wire::Answer>(std::unexpect, std::move(refusal)) {}
};

inline wire::Answer refusal(Errc code, std::string context) {
  wire::Answer answer;
  answer.set_error(static_cast<std::uint32_t>(code));
  answer.set_context(std::move(context));
  return answer;
}

inline wire::Answer locked_by(const wire::TxId& holder) {
  auto answer = refusal(Errc::locked, "an undecided transaction holds it");
  *answer.mutable_tx() = holder;
  return answer;
}

inline Errc error_of(const wire::Answer& answer) {
  return static_cast<Errc>(answer.error());
}

}  // namespace chordfs::tree
