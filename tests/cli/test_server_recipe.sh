#!/bin/sh
# The recipe "Choose an allocator for a server" of docs/COMPARING.md, as it stands there but for its size: a real server of
# Debian's and its own load generator, from run to verdict.
#
#   tests/cli/test_server_recipe.sh BUILD_DIR
set -u
build=${1:-${TEST_BUILD:-}}
case $build in /*) ;; *) build=$PWD/$build ;; esac
root=$(cd "$(dirname "$0")/../.." && pwd)
cmd=$build/spanmark
[ -x "$cmd" ] || { echo "no command in '$build'"; exit 77; }
command -v python3 >/dev/null || { echo "no python3 to look into the store with"; exit 77; }
for program in redis-server redis-benchmark; do
	command -v $program >/dev/null && continue
	echo "no $program (apt-get install redis-server)"
	[ "${SM_PROGRAMS:-}" = all ] && exit 1
	exit 77
done
case $build in *address* | *thread* | *undefined*) echo "a sanitizer has a malloc of its own"; exit 77 ;; esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
mkdir bin && printf '#!/bin/sh\nexec "%s" "$@"\n' "$cmd" >bin/spanmark && chmod +x bin/spanmark
python3 - "$root/docs/COMPARING.md" >script <<'P'
import re, sys
section = re.search(r"^## Choose an allocator for a server\n(.*?)^## ", open(sys.argv[1]).read(), re.M | re.S).group(1)
print(re.sub(r"^    ", "", re.search(r"(?:^    .*\n)+", section, re.M).group(0), flags=re.M))
P
grep -q 'redis-benchmark' script || { echo "FAIL: no recipe in docs/COMPARING.md"; exit 1; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -i "s/--reps 12/--reps 2 -c none/; s/-n 200000 -c 50/-n 500 -c 5/; s/7000/$port/g" script
for b in jemalloc mimalloc; do # what is not installed is left out
	"$cmd" list backends | grep -A1 "^  $b " | grep -q "not installed" && sed -i "s/,$b//; s/ $b / /" script
done
PATH=$tmp/bin:$PATH timeout 600 sh -e script >out 2>err
status=$?
[ $status = 0 ] || { echo "FAIL: status $status"; cat script; tail -n 20 out err; exit 1; }
python3 - <<'P' || exit 1
import json, sqlite3
db = sqlite3.connect("spanmark.db")
n = 0
for i, backend, status, message, library, warnings in db.execute("SELECT id, backend, status, message, library, warnings FROM sample"):
    r = dict(db.execute("SELECT name, value FROM result WHERE sample=?", (i,)))
    path = json.loads(library)["path"] if library else ""
    want = {"libc": "libc.so.6", "spanmark-malloc": "libspanmark-malloc.so"}.get(backend, "lib" + backend)
    assert status == "ok", (backend, status, message)
    assert want in path, (backend, path)
    # how busy this machine is, is another matter
    assert not [w for w in warnings.splitlines() if not w.startswith("meanwhile: ")], (backend, warnings)
    assert r["set_per_s"] > 0 and r["zadd_per_s"] > 0 and r["wall_s"] > 0 and r["peak_rss_kib"] > 1000, r
    n += 1
assert n >= 4, n
P
for text in "set_per_s" "zadd_per_s" "peak_rss_kib" "A = libc"; do
	grep -q "$text" out || { echo "FAIL: the verdict lacks '$text'"; cat out; exit 1; }
done
if redis-cli -p $port ping >/dev/null 2>&1; then echo "FAIL: a server still runs"; exit 1; fi
echo "a server, run to verdict"
