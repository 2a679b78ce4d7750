#include "tools/cli/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "proto/rpc/asio_runtime.h"
#include "proto/rpc/endpoint.h"
#include "proto/rpc/tcp_transport.h"

namespace chordfs::cli {

namespace {
constexpr Duration kUndoFor = 60s;
constexpr Duration kUndoPause = 200ms;

/// After the work, whether or not it went well: nothing cancels it.
using Afterwards = std::function<awaitable<void>(bool well)>;

std::string via_of(const Shared& shared) {
  if (!shared.via.empty()) return shared.via;
  if (const char* via = std::getenv("CHORDFS_VIA"); via && *via) return via;
  return "6000";
}

void complain(const std::string& subcommand, const std::string& text) {
  fmt::print(stderr, "chordfs {}: {}\n", subcommand, text);
}

Error not_connected(const Error& error, const std::string& via) {
  switch (error.code) {
    case Errc::unreachable:
    case Errc::timed_out:
    case Errc::unavailable:
      return {Errc::unreachable,
              fmt::format("no node answered at {}: is chordfs-node running there? Another one: --via or $CHORDFS_VIA",
                          via)};
    default:
      return error;
  }
}

/// Contexts are for people; the code's name is for programs.
std::string text_of(const Error& error) {
  return error.context.empty() ? error.text() : error.context;
}

class Run {
 public:
  Run(AsioRuntime& runtime, const Shared& shared, std::vector<Endpoint> via)
      : shared_(shared),
        signals_(runtime.executor(), SIGINT, SIGTERM, SIGHUP),
        transport_(runtime, "chordfs " CHORDFS_VERSION),
        client_(runtime, transport_, std::move(via)),
        tasks_(runtime) {}

  awaitable<Result<int>> all(const ClientWork& work, const Afterwards& afterwards) {
    tasks_.spawn("wait for signals", wait_for_signal());
    tasks_.spawn("work", perform(work));
    auto result = co_await result_.wait();
    tasks_.stop();
    co_await tasks_.join();
    signals_.clear();  // From here on a second signal ends the process.
    if (afterwards) co_await afterwards(result && *result == kDone);
    co_await client_.stop();
    co_await transport_.stop();
    co_return result;
  }

 private:
  awaitable<void> wait_for_signal() {
    co_await signals_.async_wait(asio::use_awaitable);
    result_.set(Error{Errc::cancelled, "interrupted"});
  }

  awaitable<void> perform(const ClientWork& work) {
    auto connected = co_await client_.connect();
    if (connected)
      result_.set(co_await work(client_));
    else
      result_.set(not_connected(connected.error(), via_of(shared_)));
  }

  const Shared& shared_;
  asio::signal_set signals_;
  TcpTransport transport_;
  RingClient client_;
  OneShot<Result<int>> result_;
  TaskGroup tasks_;
};

int run(const Shared& shared, const ClientWork& work, const Afterwards& afterwards) {
  auto via = parse_endpoints(via_of(shared));
  if (!via) {
    complain(shared.name, via.error().context);
    return kWrongUsage;
  }
  asio::io_context io(1);
  AsioRuntime runtime(io);
  Run all(runtime, shared, *via);
  auto result = run_to_end(io, all.all(work, afterwards));
  if (result) return *result;
  complain(shared.name, text_of(result.error()));
  return code_of(result.error());
}

std::string session_name() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return fmt::format("{}:chordfs[{}]", host, getpid());
}

awaitable<Result<int>> start_and_work(FileSystem& files, Undo& undo, Opens opens, const FileWork& work) {
  if (opens == Opens::files) CO_TRY_VOID(co_await files.start(session_name()));
  co_return co_await work(files, undo);
}

bool worth_another_try(Errc code) {
  return code == Errc::unavailable || code == Errc::unreachable || code == Errc::timed_out || code == Errc::busy;
}
}  // namespace

int code_of(const Error& error) {
  switch (error.code) {
    case Errc::unreachable:
    case Errc::timed_out:
    case Errc::unavailable:
      return kNotReachable;
    default:
      return kFailed;
  }
}

awaitable<void> Undo::run(FileSystem& files, const std::string& subcommand) {
  auto& runtime = files.client().runtime();
  auto until = runtime.now() + kUndoFor;
  for (auto& step : std::exchange(steps_, {})) {
    auto done = co_await step.step(files);
    while (!done && worth_another_try(done.code()) && runtime.now() < until) {
      co_await runtime.sleep(kUndoPause);
      done = co_await step.step(files);
    }
    if (!done) complain(subcommand, fmt::format("could not {}: {}", step.what, text_of(done.error())));
  }
}

int with_client(const Shared& shared, ClientWork work) {
  return run(shared, work, nullptr);
}

int with_files(const Shared& shared, Opens opens, FileWork work) {
  std::optional<FileSystem> files;
  Undo undo;
  auto connected = [&](RingClient& client) {
    files.emplace(client);
    return start_and_work(*files, undo, opens, work);
  };
  auto afterwards = [&](bool well) -> awaitable<void> {
    if (!files) co_return;
    if (well) undo.dismiss();
    co_await undo.run(*files, shared.name);
    co_await files->stop();
    files.reset();  // Before the client that it stands on.
  };
  return run(shared, connected, afterwards);
}

}  // namespace chordfs::cli
