#include "tools/sim/trace.h"

#include <fmt/format.h>

#include "proto/base/bytes.h"
#include "proto/wire/rpc.pb.h"

namespace chordfs {

namespace {
std::string_view word(Trace::What what) {
  switch (what) {
    case Trace::What::event:
      return "event";
    case Trace::What::timer:
      return "timer";
    case Trace::What::request:
      return "request";
    case Trace::What::reply:
      return "reply";
    case Trace::What::refused:
      return "refused";
    case Trace::What::reset:
      return "reset";
    case Trace::What::lost:
      return "lost";
    case Trace::What::start:
      return "start";
    case Trace::What::crash:
      return "crash";
    case Trace::What::power_off:
      return "power off";
    case Trace::What::buried:
      return "buried";
    case Trace::What::pause:
      return "pause";
    case Trace::What::resume:
      return "resume";
    case Trace::What::listen:
      return "listen";
    case Trace::What::cut:
      return "cut";
    case Trace::What::mend:
      return "mend";
    case Trace::What::partition:
      return "partition";
    case Trace::What::heal:
      return "heal";
    case Trace::What::note:
      return "note";
  }
  return "?";
}
}  // namespace

Trace::Line& Trace::fold(const Entry& entry) {
  // FNV-1a's shape over words instead of bytes, with the high half folded back.
  auto mix = [this](std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15;
    hash_ ^= hash_ >> 29;
  };
  mix(static_cast<std::uint64_t>(entry.at.time_since_epoch().count()));
  mix(static_cast<std::uint64_t>(entry.what) << 56 ^ std::uint64_t{entry.from} << 24 ^ entry.to);
  mix(std::uint64_t{entry.kind} << 56 ^ entry.detail);
  auto& line = ring_[entries_++ % ring_.size()];
  line.entry = entry;
  return line;
}

void Trace::add(const Entry& entry) {
  fold(entry);
}

void Trace::note(Time at, std::string_view text) {
  fold({.at = at, .what = What::note, .detail = std::uint64_t{crc32c(text)} << 32 | text.size()}).words = text;
}

std::string Trace::text() const {
  std::string out;
  const std::uint64_t kept = std::min<std::uint64_t>(entries_, ring_.size());
  for (std::uint64_t i = entries_ - kept; i < entries_; ++i) {
    const auto& [entry, words] = ring_[i % ring_.size()];
    const auto nanoseconds = entry.at.time_since_epoch().count();
    out += fmt::format("{:>5}.{:06} {:<9}", nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000 / 1000,
                       word(entry.what));
    if (entry.from != kNobody) out += fmt::format(" host {}", entry.from);
    if (entry.to != kNobody) out += fmt::format(" -> host {}", entry.to);
    if (entry.kind != 0)
      out += fmt::format(" {} {} bytes {:08x}", request_kind_name(entry.kind), entry.detail & 0xffffffff,
                         entry.detail >> 32);
    if (entry.what == What::note) out += " " + words;
    out += '\n';
  }
  return out;
}

std::string request_kind_name(std::uint32_t kind) {
  const auto* field = wire::Request::descriptor()->FindFieldByNumber(static_cast<int>(kind));
  return field == nullptr ? fmt::format("kind {}", kind) : field->name();
}

}  // namespace chordfs
