#pragma once
// A circle of scripted nodes behind a fake Transport, in virtual time: what each answers is the test's to say.
// Owner: one test. Thread: the test's.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "proto/base/task.h"
#include "proto/client/position.h"
#include "proto/rpc/endpoint.h"
#include "tools/sim/world.h"

namespace chordfs::test {

/// Nodes 0 … n - 1, one position each. Number 0 has the smallest identifier, and so on clockwise.
class Circle final : public Transport {
 public:
  enum class State { up, refusing, silent, slow };
  static constexpr Duration kRoundTrip = 2ms;
  static constexpr Duration kSlow = 250ms;

  explicit Circle(int nodes) {
    for (int i = 0; i < nodes; ++i) {
      Uuid node(7, static_cast<std::uint64_t>(i) + 1);
      positions.push_back({position_id(node, 0), node, 0, {"10.0.0.1", static_cast<std::uint16_t>(6000 + i)}});
    }
    std::ranges::sort(positions, {}, &Position::id);
  }

  const Position& operator[](int n) const { return positions[static_cast<std::size_t>(n)]; }
  int number(const Endpoint& at) const {
    return static_cast<int>(std::ranges::find(positions, at, &Position::at) - positions.begin());
  }

  awaitable<Result<Reply>> call(Endpoint to, Request request, Duration timeout) override {
    int n = number(to);
    asked.push_back(n);
    for (const auto& peer : request.header.find().silent()) told[n].insert(number(chordfs::endpoint_of(peer)));
    switch (states.contains(n) ? states[n] : State::up) {
      case State::refusing:
        co_await world.runtime().sleep(kRoundTrip / 2);
        co_return Error{Errc::unreachable, "refused"};
      case State::silent:
        co_await world.runtime().sleep(timeout);
        co_return Error{Errc::timed_out, "silent"};
      case State::slow:
        co_await world.runtime().sleep(kSlow);
        break;
      case State::up:
        co_await world.runtime().sleep(kRoundTrip);
    }
    co_return answer(n, request);
  }
  void post(Endpoint, Request) override {}
  void serve(Handler) override {}

  World world{1};
  std::vector<Position> positions;
  std::map<int, State> states;
  /// What each says: whom to ask next, or with `done` the owner and those after it. Default: refuses as not in the
  /// ring.
  std::map<int, std::pair<bool, std::vector<int>>> says;
  std::vector<int> asked;                             ///< In order.
  std::map<int, std::set<int>> told;                  ///< Who heard of whose silence.
  std::function<Reply(int, const Request&)> answers;  ///< Instead of `says`.

 private:
  Reply answer(int n, const Request& request) {
    if (answers) return answers(n, request);
    if (!says.contains(n)) return error_reply({Errc::busy, "not in the ring"});
    Reply reply;
    reply.header.mutable_find()->set_done(says[n].first);
    for (int other : says[n].second)
      if (says[n].first || !told[n].contains(other))
        *reply.header.mutable_find()->add_positions() = to_wire((*this)[other]);
    return reply;
  }
};

}  // namespace chordfs::test
