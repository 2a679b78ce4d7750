// chordfs-node: wires the real Runtime, Transport and Disk to a Node, and ends it on SIGTERM, SIGINT or by itself.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>

#include "daemon/node/node.h"
#include "daemon/node/options.h"
#include "daemon/store/data_directory.h"
#include "daemon/store/real_disk.h"
#include "proto/rpc/asio_runtime.h"
#include "proto/rpc/tcp_transport.h"

namespace chordfs {
namespace {

/// Whichever comes first: a signal or the node's own end.
awaitable<void> wait_for_signal(asio::signal_set& signals, OneShot<Result<void>> ended) {
  co_await signals.async_wait(asio::use_awaitable);
  spdlog::info("stopping");
  ended.set(Result<void>());
}

awaitable<void> wait_for_node(Node& node, OneShot<Result<void>> ended) {
  ended.set(co_await node.ended());
}

constexpr int kFailed = 1;
constexpr int kNotReachable = 3;

int exit_code_of(const Error& error) {
  switch (error.code) {
    case Errc::unreachable:
    case Errc::timed_out:
    case Errc::unavailable:
    case Errc::bad_message:
    case Errc::wrong_version:
      return kNotReachable;
    default:
      return kFailed;
  }
}

/// For the person who typed the command: one line, without the log's dress.
void complain(const Error& error) {
  std::fprintf(stderr, "chordfs-node: %s\n", (error.context.empty() ? error.text() : error.context).c_str());
}

awaitable<int> run(Runtime& runtime, TcpTransport& transport, Node& node, NodeOptions options) {
  asio::signal_set signals(runtime.executor(), SIGTERM, SIGINT);
  OneShot<Result<void>> ended;
  TaskGroup waiting(runtime);
  waiting.spawn("wait for signals", wait_for_signal(signals, ended));
  auto started = transport.listen(options.self.host, options.self.port);
  if (started) started = co_await node.start();
  Result<void> result = started;
  if (started) {
    spdlog::set_level(options.verbose ? spdlog::level::debug : spdlog::level::info);
    spdlog::info("node {} serving on {}, {}, ring {}, data in {}",
                 node.self().node().empty() ? "" : hex(node.self().node()).substr(0, 8), options.self.text(),
                 node.how_started(), node.ring_id().brief(), options.data.string());
    waiting.spawn("wait for the node", wait_for_node(node, ended));
    result = co_await ended.wait();
  }
  co_await transport.stop();
  co_await node.stop();
  waiting.stop();
  co_await waiting.join();
  if (!started) {
    complain(started.error());
    co_return exit_code_of(started.error());
  }
  if (!result) {
    spdlog::error("{}", result.error().text());
    co_return kFailed;
  }
  spdlog::info("stopped");
  co_return 0;
}

int serve(NodeOptions options) {
  asio::io_context io(1);
  AsioRuntime runtime(io);
  auto disk = RealDisk::open(runtime, options.data);
  if (!disk) {
    complain(disk.error());
    return kFailed;
  }
  TcpTransport transport(runtime, "chordfs-node " CHORDFS_VERSION, raised_limits());
  NodeConfig config{.self = options.self,
                    .arc_bits = options.arc_bits,
                    .positions = options.positions,
                    .replicas = options.replicas,
                    .relaxed = options.relaxed,
                    .boot = boot_of_the_machine(),
                    .zone = options.zone,
                    .evict_after = options.evict_after,
                    .sweep_every = options.sweep_every};
  if (options.peer) config.join.push_back(*options.peer);
  Node node(runtime, transport, **disk, std::move(config));
  int code = kFailed;
  asio::co_spawn(io, run(runtime, transport, node, std::move(options)), [&](std::exception_ptr error, int result) {
    if (error) std::rethrow_exception(error);
    code = result;
    io.stop();
  });
  io.run();
  return code;
}

}  // namespace
}  // namespace chordfs

int main(int argc, char** argv) {
  auto options = chordfs::parse_options(argc, argv);
  if (!options) return options.error();
  auto log = spdlog::stderr_color_mt("chordfs-node");
  spdlog::set_default_logger(log);
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  // Until it serves, what goes wrong is told once, by complain().
  spdlog::set_level(options->verbose ? spdlog::level::debug : spdlog::level::err);
  spdlog::flush_on(spdlog::level::info);
  return chordfs::serve(std::move(*options));
}
