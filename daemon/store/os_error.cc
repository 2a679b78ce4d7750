#include "daemon/store/os_error.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace chordfs {

Error os_error(int number, std::string_view what) {
  auto code = number == ENOSPC || number == EDQUOT ? Errc::disk_full : Errc::io_error;
  return {code, std::string(what) + ": " + std::generic_category().message(number)};
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

}  // namespace chordfs
