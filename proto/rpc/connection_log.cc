#include "proto/rpc/connection_log.h"

#include <spdlog/spdlog.h>

namespace chordfs {

namespace {
std::string_view name_of(Complaint kind) {
  switch (kind) {
    case Complaint::garbage:
      return "garbage";
    case Complaint::version:
      return "version";
    case Complaint::ring:
      return "ring";
    case Complaint::silent:
      return "silent";
    case Complaint::slow:
      return "slow";
    case Complaint::greedy:
      return "greedy";
    case Complaint::crowd:
      return "crowd";
    case Complaint::descriptors:
      return "descriptors";
  }
  return "";
}
}  // namespace

void ConnectionLog::complain(Complaint kind, std::string_view line) {
  const auto left_out = limiter_.admit(name_of(kind), runtime_.now());
  if (!left_out) return;
  if (*left_out > 0)
    spdlog::warn("{} ({} more like this were not logged)", line, *left_out);
  else
    spdlog::warn("{}", line);
}

void ConnectionLog::ended(const Error& why) {
  const auto line = "closed a connection: " + why.context;
  if (why.code == Errc::bad_message)
    complain(Complaint::garbage, line);
  else if (why.code == Errc::wrong_version)
    complain(Complaint::version, line);
  else
    spdlog::debug("{}", line);
}

}  // namespace chordfs
