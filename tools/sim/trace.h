#pragma once
// Trace: what happened in a world, as a 64-bit hash that two runs of the same seed must share, and as the last lines to
// print when something fails. Lines are kept as numbers and put into words only when asked for. Owned by the World.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/runtime.h"

namespace chordfs {

class Trace {
 public:
  static constexpr std::size_t kLinesDefault = 400;
  /// Not a host: the world itself.
  static constexpr std::uint32_t kNobody = 0xffffffff;

  enum class What : std::uint8_t {
    event,  ///< Something that was asked for with World::at.
    timer,  ///< A timer of host `from` struck.
    request,
    reply,
    refused,
    reset,  ///< A message from `from` reached `to`.
    lost,   ///< A message from `from` never reached `to`.
    start,
    crash,
    power_off,
    buried,
    pause,
    resume,
    listen,  ///< Host `from`.
    cut,
    mend,
    partition,
    heal,
    note,  ///< Words of a test.
  };
  struct Entry {
    Time at;
    What what = What::event;
    std::uint32_t from = kNobody, to = kNobody;
    std::uint32_t kind = 0;    ///< Field number of the request's kind; 0 if it is none.
    std::uint64_t detail = 0;  ///< Messages: checksum << 32 | size.
  };

  explicit Trace(std::size_t lines) : ring_(lines) {}

  void add(const Entry& entry);
  void note(Time at, std::string_view text);
  std::uint64_t hash() const { return hash_; }
  std::uint64_t entries() const { return entries_; }
  /// The last lines, oldest first.
  std::string text() const;

 private:
  struct Line {
    Entry entry;
    std::string words;
  };
  Line& fold(const Entry& entry);

  std::vector<Line> ring_;
  std::uint64_t entries_ = 0;
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

/// "put_block" for the field number of wire::Request's kind.
std::string request_kind_name(std::uint32_t kind);

}  // namespace chordfs
