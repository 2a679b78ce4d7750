#include "proto/rpc/tcp_transport.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "proto/base/check.h"

namespace chordfs {

namespace {
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
/// When the process has no descriptor left, accept fails at once, again and again.
constexpr Duration kAcceptPause = 100ms;
/// A connection that ends so soon after it was used was not closed for being idle.
constexpr Duration kLatelyUsed = 2s;
constexpr int kProbes = 3;

Error listen_error(const std::string& host, std::uint16_t port, boost::system::error_code error) {
  if (error == asio::error::address_in_use)
    return {Errc::busy,
            fmt::format("port {} is in use on {}: is another chordfs-node running there? Choose another port.", port,
                        host)};
  if (error == boost::system::errc::address_not_available)
    return {Errc::invalid, fmt::format("{} is not an address of this machine", host)};
  if (error == asio::error::access_denied)
    return {Errc::not_permitted, fmt::format("port {} needs more rights: choose one above 1023", port)};
  return {Errc::io_error, fmt::format("listen on {}:{}: {}", host, port, error.message())};
}
}  // namespace

TcpTransport::TcpTransport(Runtime& runtime, std::string program, IncomingLimits limits)
    : runtime_(runtime),
      program_(std::move(program)),
      log_(runtime),
      shared_{.runtime = runtime, .handler = handler_, .limits = limits, .log = log_},
      acceptor_(runtime.executor()),
      tasks_(runtime) {}

TcpTransport::~TcpTransport() {
  CHECK(calls_ == 0, "{} calls outlive their transport", calls_);
}

Result<void> TcpTransport::listen(const std::string& host, std::uint16_t port) {
  CHECK(!acceptor_.is_open(), "listen() twice");
  boost::system::error_code error;
  asio::ip::tcp::resolver resolver(runtime_.executor());
  const auto found = resolver.resolve(host, std::to_string(port), asio::ip::tcp::resolver::passive, error);
  if (error || found.empty()) return {Errc::invalid, fmt::format("find host {}: {}", host, error.message())};
  const asio::ip::tcp::endpoint address = found.begin()->endpoint();
  acceptor_.open(address.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(address, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    return listen_error(host, port, error);
  }
  port_ = acceptor_.local_endpoint().port();
  tasks_.spawn("accept", accept_loop());
  tasks_.spawn("patrol", patrol());
  return {};
}

void TcpTransport::serve(Handler handler) {
  CHECK(!handler_, "serve() twice");
  handler_ = std::move(handler);
}

awaitable<Result<Reply>> TcpTransport::call(Endpoint to, Request request, Duration timeout) {
  if (stopping_) co_return Error{Errc::cancelled, "this program is stopping"};
  struct Inside {
    TcpTransport& transport;
    explicit Inside(TcpTransport& t) : transport(t) { ++transport.calls_; }
    ~Inside() {
      if (--transport.calls_ == 0) transport.call_ended_.notify_all();
    }
  } inside(*this);
  const bool bulk = data_bytes(request.header, request.payload.size()) >= kBulkBytesMin;
  auto connection = connection_to({to, bulk ? Kind::bulk : Kind::small});
  if (!connection->is_open()) {
    const Time begun = runtime_.now();
    CO_TRY_VOID(co_await connection->opened(std::min(timeout, kConnectTimeMax)));
    timeout -= runtime_.now() - begun;
    if (timeout <= Duration::zero())
      co_return Error{Errc::unreachable, fmt::format("{}: no time was left after connecting", to.text())};
  }
  co_return co_await connection->exchange(std::move(request), timeout);
}

void TcpTransport::post(Endpoint to, Request request) {
  if (stopping_) return;
  auto connection = connection_to({std::move(to), Kind::small});
  if (connection->is_open())
    connection->post(std::move(request));
  else
    tasks_.spawn("post", post_when_open(std::move(connection), std::move(request)));
}

awaitable<void> TcpTransport::post_when_open(std::shared_ptr<Outgoing> connection, Request request) {
  if (co_await connection->opened(kConnectTimeMax)) connection->post(std::move(request));
}

std::shared_ptr<Outgoing> TcpTransport::connection_to(const Key& key) {
  if (auto known = outgoing_.find(key); known != outgoing_.end() && !known->second->has_ended()) return known->second;
  std::erase_if(outgoing_, [](const auto& entry) { return entry.second->has_ended(); });
  auto connection = std::make_shared<Outgoing>(runtime_, log_, key.first);
  outgoing_.emplace(key, connection);
  tasks_.spawn("calls", run(connection, key.first));
  return connection;
}

void TcpTransport::on_death(DeathWatch watch) {
  CHECK(!death_watch_, "on_death() twice");
  death_watch_ = std::move(watch);
}

awaitable<void> TcpTransport::run(std::shared_ptr<Outgoing> connection, Endpoint to) {
  co_await Outgoing::run(connection, tasks_, program_);
  if (stopping_ || !death_watch_) co_return;
  if (connection->was_refused()) {
    death_watch_(to);
    co_return;
  }
  // Whether its process is dead is seen by whether a new one is refused. One that was idle may just have been closed. A
  // process that is being killed may take a last one, for a moment.
  const bool used = connection->last_used() + kLatelyUsed > runtime_.now();
  const int probes = used ? kProbes : connection->probes();
  if (probes > 0) connection_to({std::move(to), Kind::small})->set_probes(probes - 1);
}

awaitable<void> TcpTransport::accept_loop() {
  for (;;) {
    auto [error, socket] = co_await acceptor_.async_accept(kNoThrow);
    if (!acceptor_.is_open()) co_return;
    if (error) {
      const auto why = fmt::format("cannot accept connections on port {} for the moment: {}", port_, error.message());
      log_.complain(Complaint::descriptors, why);
      if (error == asio::error::no_descriptors) make_room(why);
      co_await runtime_.sleep(kAcceptPause);
    } else {
      take(std::move(socket));
    }
  }
}

void TcpTransport::take(asio::ip::tcp::socket socket) {
  boost::system::error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error) return;  // Gone already.
  const auto peer = Endpoint{remote.address().to_string(), remote.port()}.text();
  if (incoming_.size() >= shared_.limits.connections &&
      !make_room(fmt::format("{} are open and {} wants to come in", incoming_.size(), peer))) {
    log_.complain(Complaint::crowd,
                  fmt::format("refused a connection from {}: {} are open and at work", peer, incoming_.size()));
    return;
  }
  const auto number = next_incoming_++;
  auto connection = std::make_shared<Incoming>(shared_, tcp_stream(std::move(socket)), peer);
  incoming_.emplace(number, connection);
  strangers_.push_back(connection);
  tasks_.spawn("connection", serve_connection(number, std::move(connection)));
}

bool TcpTransport::make_room(std::string_view why) {
  const auto connection = least_needed();
  if (!connection) return false;
  connection->end(Complaint::crowd,
                  fmt::format("closed a connection: {} {}: {}", connection->peer(),
                              connection->is_stranger() ? "has not asked anything yet" : "is idle", why));
  return true;
}

std::shared_ptr<Incoming> TcpTransport::least_needed() {
  for (; !strangers_.empty(); strangers_.pop_front())
    if (auto stranger = strangers_.front().lock(); stranger && !stranger->ended() && stranger->is_stranger())
      return stranger;
  std::shared_ptr<Incoming> found;
  for (const auto& [number, connection] : incoming_)
    if (!connection->ended() && connection->is_idle() && (!found || connection->last_heard() < found->last_heard()))
      found = connection;
  return found;
}

awaitable<void> TcpTransport::patrol() {
  for (Time before = runtime_.now();;) {
    co_await runtime_.sleep(shared_.limits.look_every);
    // If this program itself did not get on, its peers are not to blame.
    const auto passed = std::min(runtime_.now() - before, 2 * shared_.limits.look_every);
    before = runtime_.now();
    for (const auto& [number, connection] : incoming_) connection->look(passed);
    cut_the_greediest();
    std::erase_if(strangers_, [](const auto& weak) {
      const auto stranger = weak.lock();
      return !stranger || stranger->ended() || !stranger->is_stranger();
    });
  }
}

void TcpTransport::cut_the_greediest() {
  auto& budget = shared_.budget;
  while (budget.over()) {
    std::shared_ptr<Incoming> greediest;
    for (const auto& [number, connection] : incoming_)
      if (!greediest || connection->loose_bytes() > greediest->loose_bytes()) greediest = connection;
    if (!greediest || greediest->loose_bytes() <= budget.share(shared_.connections)) return;
    greediest->end(Complaint::greedy,
                   fmt::format("closed a connection: {} holds {} of {} bytes, and {} are allowed in all",
                               greediest->peer(), greediest->loose_bytes(), budget.bytes(), budget.limit()));
  }
}

awaitable<void> TcpTransport::serve_connection(std::uint64_t number, std::shared_ptr<Incoming> connection) {
  co_await Incoming::run(std::move(connection), tasks_, program_);
  incoming_.erase(number);
}

awaitable<void> TcpTransport::stop() {
  stopping_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  const Error why{Errc::cancelled, "this program is stopping"};
  for (auto& [key, connection] : outgoing_) connection->end(why);
  for (auto& [number, connection] : incoming_) connection->end(why);
  tasks_.stop();
  co_await tasks_.join();
  while (calls_ > 0) co_await call_ended_.wait();
  outgoing_.clear();
  incoming_.clear();
}

}  // namespace chordfs
