#!/usr/bin/env bash
# Every C++ file is as clang-format-19 would write it (.clang-format). Exit 1 and the places, if not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

sources() { git -c safe.directory='*' ls-files -z -co --exclude-standard -- '*.h' '*.cc'; }

if [ "$(sources | tr -dc '\0' | wc -c)" -eq 0 ]; then
  echo "check_format: no C++ file found below $PWD" >&2
  exit 1
fi
if sources | xargs -0 -n 20 -P 2 clang-format-19 --dry-run --Werror; then
  echo "check_format: $(sources | tr -dc '\0' | wc -c) files are formatted"
else
  echo "check_format: run  git ls-files -z '*.h' '*.cc' | xargs -0 clang-format-19 -i" >&2
  exit 1
fi
