#include "daemon/node/garbage.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "proto/wire/block_id.h"

namespace chordfs {

Garbage::Garbage(Runtime& runtime, const BlockStore& blocks, RingClient& client, Duration every)
    : runtime_(runtime), blocks_(blocks), client_(client), every_(every), tasks_(runtime) {}

void Garbage::start() {
  tasks_.spawn("look for garbage", run());
}

awaitable<void> Garbage::stop() {
  tasks_.stop();
  co_await tasks_.join();
}

awaitable<void> Garbage::run() {
  for (;;) {
    co_await runtime_.sleep(runtime_.jitter(every_));
    co_await walk();
  }
}

awaitable<void> Garbage::walk() {
  Questions questions;
  std::size_t collected = 0;
  for (auto arc : blocks_.arcs()) {
    for (auto& block : blocks_.list(arc)) {
      questions[client_.arc_of_ino(ino_of_block(block.id))].push_back(std::move(block.id));
      if (++collected < kBlocksCollected) continue;
      co_await ask_all(std::exchange(questions, {}));
      collected = 0;
    }
  }
  co_await ask_all(std::move(questions));
}

awaitable<void> Garbage::ask_all(Questions questions) {
  for (auto& [arc, blocks] : questions) {
    if (arc >= client_.arcs().count()) continue;
    for (std::size_t from = 0; from < blocks.size(); from += kBlocksAsked) {
      const auto first = blocks.begin() + static_cast<std::ptrdiff_t>(from);
      const auto count = std::min(kBlocksAsked, blocks.size() - from);
      auto asked = co_await ask(arc, {first, first + static_cast<std::ptrdiff_t>(count)});
      if (!asked) spdlog::debug("arc {}: not asked for garbage: {}", arc, asked.error().text());
      co_await runtime_.sleep(kQuestionPause);
    }
  }
}

awaitable<Result<void>> Garbage::ask(ArcNumber arc, std::vector<std::string> blocks) {
  wire::Query query;
  auto& wanted = *query.mutable_find_garbage()->mutable_blocks();
  for (auto& block : blocks) *wanted.Add() = std::move(block);
  CO_TRY(auto answer, co_await client_.query(arc, std::move(query)));
  std::map<ArcNumber, std::vector<std::string>> drops;
  for (auto& block : *answer.mutable_garbage()) {
    const auto holder = client_.arc_of_block(block);
    drops[holder].push_back(std::move(block));
  }
  for (auto& [holder, garbage] : drops) {
    const auto count = garbage.size();
    CO_TRY_VOID(co_await client_.drop_blocks(holder, std::move(garbage)));
    spdlog::info("arc {}: {} blocks that no file names are deleted", holder, count);
  }
  co_return Result<void>();
}

}  // namespace chordfs
