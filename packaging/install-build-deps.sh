#!/usr/bin/env bash
# Installs what building and testing ChordFS needs, from Debian 12's own packages. Run as root.
# Does nothing when all of it is there, so that every other script may call it first.
set -euo pipefail

packages=(
  # compiler, sanitizers, formatter (GCC 12 miscompiles coroutines: see CMakeLists.txt)
  clang-19 lld-19 libclang-rt-19-dev clang-format-19 llvm-19
  cmake ninja-build pkg-config ccache git ca-certificates
  # libraries
  libboost1.81-dev libboost-json1.81-dev libprotobuf-dev protobuf-compiler libssl-dev
  libfuse3-dev fuse3 librocksdb-dev libisal-dev libspdlog-dev libfmt-dev libcli11-dev
  # tests
  libgtest-dev libgmock-dev librapidcheck-dev python3 acl attr fio iproute2 openssl procps tar
  # programs that tests/mount runs on a ring
  googletest make postgresql rsync vim-tiny
  # pictures of experiments (chordfs-sim plot)
  gnuplot-nox
)

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "install-build-deps: these packages are missing; run this script as root, or install them: ${missing[*]}" >&2
  exit 1
fi
echo "install-build-deps: installing ${#missing[@]} packages" >&2
export DEBIAN_FRONTEND=noninteractive
# The tests make clusters of their own; else the package would make one here and start it.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
