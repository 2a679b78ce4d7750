#!/usr/bin/env bash
# A PostgreSQL cluster on the ring: made, loaded and driven by pgbench, killed in the middle, recovered; every commit that
# was acknowledged to a client is there. Then the same through another node.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

programs=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -1)
[ -x "$programs/initdb" ] && [ -x "$programs/pgbench" ] || fail "PostgreSQL is missing: packaging/install-build-deps.sh"
PATH=$programs:$PATH
as_postgres=()  # It refuses to run as root.
if [ "$(id -u)" -eq 0 ]; then
  as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups --)
  chmod 711 "$work" "$work/mnt"
fi
clients=3
mkdir "$work/clients" "$work/socket"
if [ "$(id -u)" -eq 0 ]; then chown postgres: "$work/clients" "$work/socket"; fi
export PGHOST=$work/socket PGDATABASE=postgres PGUSER=postgres PGCONNECT_TIMEOUT=600
cd "$work/clients"  # Where pgbench leaves its logs.

start_ring a b c
mount_ring m a
data=$(at m)/cluster
postgres() { "${as_postgres[@]}" "$@"; }
starts() {
  runs[postgres]=$((${runs[postgres]:-0} + 1))
  # Straight, not by pg_ctl: its number is known, and it has no time limit of its own.
  "${as_postgres[@]}" postgres -D "$data" -k "$work/socket" -c listen_addresses= >"$work/log/postgres.${runs[postgres]}" 2>&1 &
  server=$!
  background+=("$server")
  disown "$server"  # Else the shell reports each as killed.
  answers_or_dead() { pg_isready -q || gone "$server"; }
  wait_until "PostgreSQL answers" 600 answers_or_dead
  running "$server" || { cat "$work/log/postgres.${runs[postgres]}" >&2; fail "PostgreSQL ended"; }
}
stops() {
  kill -s INT "$server"
  wait_until "PostgreSQL stops" 600 gone "$server"
  grep -q 'database system is shut down' "$work/log/postgres.${runs[postgres]}" || fail "PostgreSQL did not end well"
}
all_gone() { local pid; for pid in "$@"; do gone "$pid" || return 1; done; }
dies() {  # At once, with every process that it has.
  local pids
  kill -s STOP "$server"  # So that it starts no other meanwhile.
  mapfile -t pids < <(pgrep -P "$server")
  kill -s KILL "$server" "${pids[@]}" 2>/dev/null || true
  wait_until "PostgreSQL is dead" 60 all_gone "$server" "${pids[@]}"
}
ask() { psql -XAtqc "$1"; }

mkdir -m 700 "$data"
if [ "$(id -u)" -eq 0 ]; then chown postgres: "$data"; fi
postgres initdb -D "$data" -U postgres -A trust --data-checksums >"$work/log/initdb" 2>&1 || { cat "$work/log/initdb" >&2; fail "initdb"; }
step "initdb: $(find "$data" | wc -l) objects"
starts
postgres pgbench -i -s 2 -q >"$work/log/pgbench" 2>&1 || { cat "$work/log/pgbench" >&2; fail "pgbench -i"; }
ask "create table acknowledged (client integer, number integer, primary key (client, number))"
step "pgbench -i: $(ask 'select count(*) from pgbench_accounts') rows"

# What pgbench does by default, and a row that says which transaction of which client it was. Its log has a line for each
# that was acknowledged to it.
cat >"$work/clients/script" <<'SQL'
\set n :n + 1
\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
begin;
update pgbench_accounts set abalance = abalance + :delta where aid = :aid;
update pgbench_tellers set tbalance = tbalance + :delta where tid = :tid;
update pgbench_branches set bbalance = bbalance + :delta where bid = :bid;
insert into pgbench_history (tid, bid, aid, delta, mtime) values (:tid, :bid, :aid, :delta, current_timestamp);
insert into acknowledged values (:base + :client_id, :n);
end;
SQL
logged() { awk -v client="$2" '$1 == client' "$work/clients/run$1".* 2>/dev/null | wc -l; }  # logged ROUND CLIENT
drive() {  # drive ROUND OPTION...
  "${as_postgres[@]}" pgbench -f "$work/clients/script" -n -s 2 -c $clients -j 1 -D n=0 -D base="$1"00 -l \
    --log-prefix="$work/clients/run$1" "${@:2}" >"$work/log/pgbench" 2>&1
}
check() {  # check ROUND SLACK: every client's transactions, and at most SLACK more: the one that it was killed in.
  local client there last acknowledged
  for client in $(seq 0 $((clients - 1))); do
    acknowledged=$(logged "$1" "$client")
    IFS='|' read -r there last < <(ask "select count(*), max(number) from acknowledged where client = $1 * 100 + $client")
    [ "$there" -eq "$last" ] && [ "$there" -ge "$acknowledged" ] && [ "$there" -le $((acknowledged + $2)) ] ||
      fail "round $1, client $client: $acknowledged were acknowledged, $there are there, the last is $last"
    total=$((total + acknowledged))
  done
}
sound() {  # What all transactions keep equal.
  local sums
  sums=$(ask "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history),
    (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history),
    (select sum(bbalance) from pgbench_branches) = (select sum(delta) from pgbench_history),
    (select count(*) from pgbench_history) = (select count(*) from acknowledged)")
  [ "$sums" = 't|t|t|t' ] || fail "balances: $sums"
  pg_amcheck --install-missing --heapallindexed >"$work/log/amcheck" 2>&1 || { cat "$work/log/amcheck" >&2; fail "pg_amcheck"; }
}

for round in 1 2 3; do
  drive "$round" -t 1000000 &
  driver=$!
  background+=("$driver")
  enough() { [ "$(ask "select count(*) from acknowledged where client / 100 = $round")" -ge 150 ] || gone "$driver"; }
  wait_until "150 transactions" 600 enough
  running "$driver" || { cat "$work/log/pgbench" >&2; fail "pgbench ended by itself"; }
  dies
  wait_until "pgbench notices" 60 gone "$driver"
  wait "$driver" && fail "pgbench did not notice"
  starts
  grep -q 'redo done' "$work/log/postgres.${runs[postgres]}" || fail "nothing was recovered"
  total=0
  check "$round" 1
  step "killed and recovered: all $total acknowledged transactions are there"
done
drive 4 -t 20 || { cat "$work/log/pgbench" >&2; fail "pgbench after recovery"; }
sound
step "it goes on; balances and indexes are right"
stops
remount_ring m c
postgres pg_checksums --check -D "$data" >"$work/log/checksums" || { cat "$work/log/checksums" >&2; fail "pg_checksums"; }
starts
total=0
for round in 1 2 3; do check $round 1; done
check 4 0
sound
stops
step "through another node: $total transactions, all checksums right"
finish
