#pragma once
// ConnectionLog: what is said in the log about peers that misbehave: one clear line with the peer and the reason, a few
// of each kind, then one every ten seconds that says how many were left out.
// Owner: TcpTransport; outlives its connections. Thread: the Runtime's. Errors: none.

#include <string_view>

#include "proto/base/log_limiter.h"
#include "proto/base/result.h"
#include "proto/base/runtime.h"

namespace chordfs {

/// Kinds that must not drown one another.
enum class Complaint {
  garbage,      ///< Bytes that no ChordFS program sends, or a frame over a cap.
  version,      ///< Another version of the protocol.
  ring,         ///< A request from another ring.
  silent,       ///< No Hello in time.
  slow,         ///< A frame that was begun and does not get on.
  greedy,       ///< Holds the most of too much memory.
  crowd,        ///< More connections than are allowed.
  descriptors,  ///< The process has no file descriptor left.
};

class ConnectionLog {
 public:
  explicit ConnectionLog(Runtime& runtime) : runtime_(runtime) {}

  /// A warning. The line is our own words, with what a peer said made printable already.
  void complain(Complaint kind, std::string_view line);
  /// Why a connection ended, whose context names the peer; loud if the other side is to blame.
  void ended(const Error& why);

 private:
  Runtime& runtime_;
  LogLimiter limiter_;
};

}  // namespace chordfs
