#include "fuse/mount/inbox.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace chordfs::mount {

void Inbox::post(const char* name, Job job) {
  bool first;
  {
    std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back({name, std::move(job)});
  }
  if (first) asio::post(runtime_.executor(), [this] { start_all(); });
}

void Inbox::start_all() {
  std::vector<Posted> jobs;
  {
    std::lock_guard lock(mutex_);
    jobs.swap(posted_);
  }
  for (auto& posted : jobs) tasks_.spawn(posted.name, posted.job());
}

awaitable<void> Inbox::finish(Duration patience) {
  // Queues behind every start_all() that is scheduled: afterwards none refers to this object.
  co_await asio::post(runtime_.executor(), asio::use_awaitable);
  auto timer = runtime_.schedule(runtime_.now() + patience, [this] { tasks_.stop(); });
  co_await tasks_.join();
  runtime_.cancel(timer);
}

}  // namespace chordfs::mount
