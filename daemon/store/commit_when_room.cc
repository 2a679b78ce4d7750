#include "daemon/store/commit_when_room.h"

namespace chordfs {

namespace {
constexpr Duration kFullPause = 500ms;
}

awaitable<Result<void>> commit_when_room(Runtime& runtime, Disk& disk, Batch batch, Sync sync,
                                         std::function<void(Error)> fatal, std::function<void(const Error&)> full) {
  for (;;) {
    auto written = co_await disk.commit(batch, sync);
    if (written || written.code() == Errc::cancelled) co_return written;
    if (written.code() != Errc::disk_full) {
      fatal(written.error());
      co_return written;
    }
    full(written.error());
    co_await runtime.sleep(kFullPause);
  }
}

}  // namespace chordfs
