#include "fuse/mount/serve.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/use_awaitable.hpp>
#include <cstring>

#include "fuse/mount/session.h"
#include "proto/base/task.h"

namespace chordfs::mount {

namespace {

/// Why serving ends.
struct End {
  int signal = 0;
  int device_error = 0;
};

awaitable<void> wait_for_signal(asio::signal_set& signals, OneShot<End> end) {
  int signal = co_await signals.async_wait(asio::use_awaitable);
  end.set({.signal = signal});
}

awaitable<void> wait_for_device(Session& session, OneShot<End> end) {
  int error = co_await session.ended();
  end.set({.device_error = error});
}

awaitable<End> first_end(Runtime& runtime, Session& session, asio::signal_set& signals) {
  OneShot<End> end;
  TaskGroup watchers(runtime);
  watchers.spawn("signals", wait_for_signal(signals, end));
  watchers.spawn("device", wait_for_device(session, end));
  auto first = co_await end.wait();
  watchers.stop();
  co_await watchers.join();
  co_return first;
}

}  // namespace

awaitable<Problem> serve(Runtime& runtime, FileSystem& files, asio::signal_set& signals, std::string path,
                         std::vector<std::string> options, std::function<void()> serving) {
  Session session(runtime, files);
  Problem problem = session.mount(path, options);
  if (!problem) problem = co_await session.ready();
  if (!problem) {
    serving();
    spdlog::info("serving {}", path);
    auto end = co_await first_end(runtime, session, signals);
    if (end.signal != 0) spdlog::info("{}: unmounting {}", strsignal(end.signal), path);
    auto left = co_await session.unmount();
    if (end.device_error != 0)
      problem = Failure{Exit::fuse, fmt::format("reading /dev/fuse: {}", std::strerror(end.device_error))};
    else if (end.signal == 0 && left == Unmounted::not_mounted)
      spdlog::info("{} was unmounted", path);
    else if (end.signal == 0)
      spdlog::warn("the kernel's connection of {} was aborted: unmounted", path);
  }
  co_await session.stop();
  co_return problem;
}

}  // namespace chordfs::mount
