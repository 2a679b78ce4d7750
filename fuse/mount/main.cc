// chordfs-mount: shows a ring as a directory. Here only the parts are put together.

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "fuse/fs/filesystem.h"
#include "fuse/mount/launch.h"
#include "fuse/mount/mount_options.h"
#include "fuse/mount/mount_point.h"
#include "fuse/mount/options.h"
#include "fuse/mount/serve.h"
#include "proto/client/ring_client.h"
#include "proto/rpc/asio_runtime.h"
#include "proto/rpc/tcp_transport.h"

namespace chordfs::mount {
namespace {

std::string joined(const std::vector<Endpoint>& endpoints) {
  std::string all;
  for (const auto& endpoint : endpoints) all.append(all.empty() ? "" : ", ").append(endpoint.text());
  return all;
}

Failure not_connected(const Error& error, const std::vector<Endpoint>& via) {
  switch (error.code) {
    case Errc::bad_message:
      return {Exit::not_chordfs,
              fmt::format("what answered at {} is not a ChordFS node, or not in a ring yet", joined(via))};
    case Errc::wrong_version:
    case Errc::wrong_ring:
      return {Exit::not_chordfs, error.context};
    case Errc::unreachable:
    case Errc::timed_out:
    case Errc::unavailable:
      return {Exit::unreachable, fmt::format("no node answered at {}: is chordfs-node running there?", joined(via))};
    default:
      return {Exit::failed, error.text()};
  }
}

/// How this mount is called in the ring's list of sessions.
std::string session_name(const Options& options) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return fmt::format("{}:{}", host, options.mount_point);
}

awaitable<Problem> run_filesystem(Runtime& runtime, Client& client, asio::signal_set& signals, const Options& options,
                                  Launch& launch) {
  FileSystem files(client, options.cache_bytes);
  auto started = co_await files.start(session_name(options));
  Problem problem;
  if (started)
    problem = co_await serve(runtime, files, signals, options.mount_point, libfuse_options(options, geteuid() == 0),
                             [&launch] { launch.serving(); });
  else
    problem = Failure{Exit::failed, fmt::format("the ring answers, but gives no session: {}", started.error().text())};
  co_await files.stop();
  co_return problem;
}

awaitable<Problem> run_client(Runtime& runtime, asio::signal_set& signals, const Options& options, Launch& launch) {
  TcpTransport transport(runtime, "chordfs-mount " CHORDFS_VERSION);
  RingClient client(runtime, transport, options.via);
  auto connected = co_await client.connect();
  Problem problem;
  if (connected)
    problem = co_await run_filesystem(runtime, client, signals, options, launch);
  else
    problem = not_connected(connected.error(), options.via);
  co_await client.stop();
  co_await transport.stop();
  co_return problem;
}

Problem run(const Options& options, Launch& launch) {
  asio::io_context io;
  AsioRuntime runtime(io);
  // From here on a signal does not kill; before the mount exists it only shortens nothing, since start-up is bounded.
  asio::signal_set signals(io, SIGINT, SIGTERM, SIGHUP);
  Problem problem;
  std::exception_ptr thrown;
  asio::co_spawn(io, run_client(runtime, signals, options, launch), [&](std::exception_ptr error, Problem result) {
    thrown = error;
    problem = std::move(result);
    io.stop();
  });
  io.run();
  if (thrown) std::rethrow_exception(thrown);
  return problem;
}

Problem check(Options& options) {
  if (auto problem = check_fuse(geteuid() == 0)) return problem;
  return check_mount_point(options.mount_point, options.nonempty ? Contents::may_be_anything : Contents::must_be_empty);
}

/// The process that serves needs not know: what is read-only, the kernel refuses.
int remount(const Options& options) {
  auto problem = change_flags(options.mount_point, mount_flags(options.fuse));
  if (!problem) return exit_code(Exit::ok, options.caller);
  fmt::print(stderr, "chordfs-mount: {}\n", problem->text);
  return exit_code(problem->exit, options.caller);
}

int main(int argc, char** argv) {
  auto parsed = parse_command_line(argc, argv);
  const auto caller = caller_of(argv[0]);
  if (auto* exit = std::get_if<Exit>(&parsed)) return exit_code(*exit, caller);
  auto& options = std::get<Options>(parsed);
  if (options.nothing) return exit_code(Exit::ok, caller);
  if (options.remount) return remount(options);
  auto problem = check(options);
  if (!problem) problem = start_log(options);
  if (problem) {
    fmt::print(stderr, "chordfs-mount: {}\n", problem->text);
    return exit_code(problem->exit, caller);
  }
  std::signal(SIGPIPE, SIG_IGN);
  auto launch = Launch::begin(options);
  try {
    problem = run(options, launch);
  } catch (const std::exception& error) {
    problem = Failure{Exit::failed, error.what()};
  }
  if (!problem) return exit_code(Exit::ok, caller);
  launch.failed(*problem);
  return exit_code(problem->exit, caller);
}

}  // namespace
}  // namespace chordfs::mount

int main(int argc, char** argv) {
  return chordfs::mount::main(argc, argv);
}
