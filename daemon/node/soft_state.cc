#include "daemon/node/soft_state.h"

namespace chordfs {

bool OpenFiles::is_open(ArcNumber arc, std::uint64_t ino, Time now) const {
  auto files = arcs_.find(arc);
  if (files == arcs_.end()) return false;
  auto sessions = files->second.find(ino);
  if (sessions == files->second.end()) return false;
  for (const auto& [session, when] : sessions->second)
    if (when + kSessionTtl > now) return true;
  return false;
}

void OpenFiles::expire(ArcNumber arc, Time now) {
  auto files = arcs_.find(arc);
  if (files == arcs_.end()) return;
  for (auto& [ino, sessions] : files->second)
    std::erase_if(sessions, [now](const auto& session) { return session.second + kSessionTtl <= now; });
  std::erase_if(files->second, [](const auto& file) { return file.second.empty(); });
  if (files->second.empty()) arcs_.erase(files);
}

void OpenFiles::drop(ArcNumber arc, Session session) {
  auto files = arcs_.find(arc);
  if (files == arcs_.end()) return;
  for (auto& [ino, sessions] : files->second) sessions.erase(session);
}

bool KnownSessions::is_silent(Session session, Time led_since, Time now) const {
  auto heard = heard_.find(session);
  auto since = heard == heard_.end() ? led_since : std::max(led_since, heard->second);
  return since + kSessionTtl <= now;
}

}  // namespace chordfs
