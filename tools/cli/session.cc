#include <boost/asio/co_spawn.hpp>
#include <cstdio>
#include <cstdlib>

#include "proto/rpc/asio_runtime.h"
#include "proto/rpc/endpoint.h"
#include "proto/rpc/tcp_transport.h"
#include "tools/cli/command.h"

namespace chordfs::cli {

namespace {
std::string via_of(const Common& common) {
  if (!common.via.empty()) return common.via;
  if (const char* via = std::getenv("CHORDFS_VIA"); via && *via) return via;
  return "6000";
}

awaitable<Result<int>> connect_and_work(RingClient& client, std::function<awaitable<Result<int>>(RingClient&)>& work) {
  CO_TRY_VOID(co_await client.connect());
  co_return co_await work(client);
}

awaitable<Result<int>> run(RingClient& client, TcpTransport& transport,
                           std::function<awaitable<Result<int>>(RingClient&)>& work) {
  auto result = co_await connect_and_work(client, work);
  co_await client.stop();
  co_await transport.stop();
  co_return result;
}
}  // namespace

int with_client(const std::string& subcommand, Common common, std::function<awaitable<Result<int>>(RingClient&)> work) {
  auto complain = [&](const Error& error) {
    std::fprintf(stderr, "chordfs %s: %s\n", subcommand.c_str(), error.text().c_str());
  };
  auto via = parse_endpoints(via_of(common));
  if (!via) {
    complain(via.error());
    return kWrongUsage;
  }
  asio::io_context io(1);
  AsioRuntime runtime(io);
  TcpTransport transport(runtime, "chordfs " CHORDFS_VERSION);
  RingClient client(runtime, transport, *via);
  Result<int> result{Errc::cancelled, "interrupted"};
  asio::co_spawn(io, run(client, transport, work), [&](std::exception_ptr error, Result<int> r) {
    if (error) std::rethrow_exception(error);
    result = std::move(r);
    io.stop();
  });
  io.run();
  if (result) return *result;
  complain(result.error());
  bool away = result.code() == Errc::unreachable || result.code() == Errc::timed_out;
  return away ? kNotReachable : kFailed;
}

std::string human(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace chordfs::cli
