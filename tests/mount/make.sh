#!/usr/bin/env bash
# A C++ project, GoogleTest with its samples as Debian ships the sources, is configured and built by make -j4 on the ring,
# where the samples' tests pass; a changed source rebuilds what stands on it and no more.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ -d /usr/src/googletest ] || fail "there is no /usr/src/googletest: packaging/install-build-deps.sh"
start_ring a b c
mount_ring m a
top=$(at m)/project
quietly() { "$@" >"$work/log/output" 2>&1 || { tail -n 50 "$work/log/output" >&2; fail "$*"; }; }

cp -r /usr/src/googletest "$top"
quietly cmake -S "$top" -B "$top/build" -G "Unix Makefiles" -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 \
  -DBUILD_GMOCK=OFF -Dgtest_build_samples=ON
step "configured: $(find "$top" | wc -l) objects"
quietly make -C "$top/build" -j4
step "built: $(find "$top/build" -type f | wc -l) files, $(du -sm "$top/build" | cut -f 1) MiB"
samples=("$top"/build/googletest/sample*_unittest)
for sample in "${samples[@]}"; do quietly "$sample"; done
step "${#samples[@]} programs of its tests passed"

# make(1) believes the times of files.
quietly make -C "$top/build" -j4
! grep -q Building "$work/log/output" || fail "make has something to do at once after make: $(grep Building "$work/log/output")"
remount_ring m c
quietly make -C "$top/build" -j4
! grep -q Building "$work/log/output" || fail "make has something to do after a fresh mount: $(grep Building "$work/log/output")"
touch "$top/googletest/src/gtest_main.cc"
quietly make -C "$top/build" gtest_main
[ "$(grep -c Building "$work/log/output")" -eq 1 ] || fail "one file changed, and make builds $(grep Building "$work/log/output")"
quietly make -C "$top/build" clean
[ -z "$(find "$top/build" -name '*.[ao]')" ] || fail "make clean leaves $(find "$top/build" -name '*.[ao]')"
step "nothing to do, one changed file, clean: as it should"
finish
