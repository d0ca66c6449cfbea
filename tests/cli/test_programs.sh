#!/bin/sh
# Programs of others under libspanmark-malloc.so, each with a load of its own: what it prints and its status must be those
# without us.
#
#   tests/cli/test_programs.sh BUILD_DIR [NAME...]
#
# Without a NAME those that take a moment; with SM_PROGRAMS=all (make test-programs) servers and the rest, too. A program that
# is not installed is skipped with one line; with SM_PROGRAMS=all that is a failure.
# Servers listen on sockets in a folder of ours and end with this script, however it ends. As root they run as nobody.
set -u
loads=$(cd "$(dirname "$0")/../programs" && pwd)
built=$(readlink -f "$1/libspanmark-malloc.so" 2>/dev/null || true)
[ -n "$built" ] && [ -f "$built" ] || { echo "no libspanmark-malloc.so in $1"; exit 77; }
case $1 in *address* | *thread* | *undefined*) echo "a sanitizer has a malloc of its own"; exit 77 ;; esac
shift
moments="perl lua python php ruby node gdb awk bash"
everything="$moments emacs openssl java redis memcached nginx postgres docker systemd"
case ${SM_PROGRAMS:-} in all) set -- "${@:-$everything}" ;; *) set -- "${@:-$moments}" ;; esac
only=" $* "
dir=$(mktemp -d)
pids="" failed=0 ran=0
stop_servers() {
	for p in $pids; do kill "$p" 2>/dev/null; done
	for p in $pids; do # the server's own way first, then the hard one
		(sleep 10; kill -9 "$p" 2>/dev/null) & hard=$!
		wait "$p" 2>/dev/null
		kill "$hard" 2>/dev/null
		wait "$hard" 2>/dev/null
	done
	pids=""
}
trap 'stop_servers; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
# Where everybody may read it: a server runs as somebody else.
chmod 755 "$dir"
lib=$dir/libspanmark-malloc.so
cp "$built" "$lib" && chmod 755 "$lib"
export LC_ALL=C HOME="$dir" LIB="$lib"

# What a load starts, it starts through these. PRE: the library, or empty.
under() { timeout -k 5 300 env ${PRE:+LD_PRELOAD="$PRE"} "$@"; }
as_nobody() { # postgres refuses to be root
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
	else
		"$@"
	fi
}
serve() { # serve COMMAND...: in the background, until the load ends
	as=""
	[ "$(id -u)" != 0 ] || as="--reuid=65534 --regid=65534 --clear-groups"
	# shellcheck disable=SC2086
	setpriv --pdeathsig TERM $as env ${PRE:+LD_PRELOAD="$PRE"} "$@" >server.log 2>&1 </dev/null &
	server=$!
	pids="$pids $server"
}
soon() { # soon COMMAND...: it succeeds within a while, and the server lives
	for _ in $(seq 1200); do
		! "$@" >/dev/null 2>&1 || return 0
		kill -0 "$server" || break
		sleep 0.1
	done
	cat server.log
	return 1
}
ours() { # the server has what it should have
	[ -z "$PRE" ] || grep -q libspanmark-malloc "/proc/$server/maps" || echo "the library is not in the server"
}
load() { # load NAME PROGRAM...: runs load_NAME with and without, if all the programs are there
	name=$1
	shift
	case $only in *" $name "*) ;; *) return ;; esac
	for program in "$@"; do
		command -v "$program" >/dev/null 2>&1 && continue
		echo "skipped  $name: $program is not installed"
		[ "${SM_PROGRAMS:-}" != all ] || failed=1
		return
	done
	for PRE in "" "$lib"; do
		way=${PRE:+with}
		work=$dir/$name.${way:=without}
		mkdir -m 777 "$work"
		(cd "$work" && "load_$name") >"$work.out" 2>&1 </dev/null
		status=$?
		echo "status $status" >>"$work.out"
		[ "$way" = with ] || base=$status
	done
	ran=$((ran + 1))
	if [ "$base" != 0 ]; then
		echo "FAILED   $name: the load does not work here, without us either"; tail -n 5 "$dir/$name.without.out"; failed=1
	elif cmp -s "$dir/$name.without.out" "$work.out"; then
		echo "ok       $name"
	else
		echo "FAILED   $name: what it prints without us (<) and with us (>)"
		diff "$dir/$name.without.out" "$work.out" | head -n 10
		failed=1
	fi
}
# A load with a server: in a subshell of its own, whose end is the server's.
with_server() {
	trap 'stop_servers' EXIT
	pids=""
	"$@"
	status=$?
	stop_servers
	trap - EXIT
	return $status
}

load_perl() { under perl "$loads/load.pl"; }
load_lua() { under lua5.4 "$loads/load.lua"; }
load_python() { under python3 -X dev "$loads/load.py"; }
load_php() { under php -d opcache.enable_cli=1 "$loads/load.php"; }
load_ruby() { under ruby "$loads/load.rb"; }
load_node() { under node "$loads/load.js"; }
load_emacs() { under emacs -Q --batch -l "$loads/load.el"; }
load_gdb() { under gdb -nx -q -batch -ex 'python print(sum(len(str(i)) for i in range(100000)))' -ex 'print 6 * 7' /bin/true; }
load_awk() { under awk 'BEGIN { for (i = 0; i < 100000; i++) a[i] = i "x"; n = 0; for (k in a) n++; print n }'; }
load_bash() { under bash -c 'for i in {1..20000}; do a[i]=$i; done; echo ${#a[@]} "$(echo a subshell | tr a-z A-Z)"'; }
load_openssl() {
	under openssl speed -seconds 1 -multi 2 sha256 rsa1024 >/dev/null 2>&1 || return
	under openssl genrsa 2048 2>/dev/null | under openssl rsa -check -noout
	under openssl dgst -sha256 "$loads/load.py"
}
load_java() { # the runtime alone has no compiler, but programs of its own
	for gc in Serial Parallel G1 Z; do
		JAVA_TOOL_OPTIONS= under keytool -J-XX:+Use${gc}GC -J-Xmx256m -genkeypair -keyalg RSA -alias "$gc" -dname CN=x \
			-keystore k -storepass secret 2>/dev/null || return
	done
	under keytool -list -keystore k -storepass secret | grep -c PrivateKeyEntry
	under java -XX:+UseParallelGC -XX:NativeMemoryTracking=summary -Xshare:off --list-modules | sed 's/@.*//'
}
redis() {
	serve redis-server --port 0 --enable-debug-command local --unixsocket "$PWD/s" --unixsocketperm 777 --save '' --dir "$PWD"
	soon redis-cli -s s ping || return
	ours
	under redis-cli -s s <"$loads/load.redis" || return
	under redis-benchmark -s s -n 5000 -c 20 -q -t set,get,lpush,zadd,mset >/dev/null || return
	under redis-cli -s s bgsave
	soon sh -c 'redis-cli -s s info persistence | grep -q rdb_bgsave_in_progress:0' || return
	under redis-cli -s s info persistence | grep rdb_last_bgsave_status
	under redis-cli -s s memory purge
	under redis-cli -s s flushall
}
load_redis() { with_server redis; }
memcached_load() {
	serve memcached -s "$PWD/s" -a 777 -m 64 -t 4
	soon test -S s || return
	ours
	under python3 "$loads/memcached.py" s
}
load_memcached() { with_server memcached_load; }
nginx_load() {
	mkdir -m 777 root && seq 100000 >root/numbers.txt && echo hello >root/hello.txt
	sed "s|DIR|$PWD|" "$loads/nginx.conf" >conf
	serve nginx -p "$PWD" -c "$PWD/conf" -e "$PWD/error.log"
	soon test -S s || return
	ours
	under python3 "$loads/fetch.py" s 300 || return
	kill -HUP "$server" && under python3 "$loads/fetch.py" s 100 || return
	! grep -E 'alert|emerg|crit' error.log
}
load_nginx() { with_server nginx_load; }
postgres_load() {
	as_nobody mkdir d
	as_nobody timeout 300 env ${PRE:+LD_PRELOAD="$PRE"} "$pg/initdb" -D d -N -U me -A trust --locale=C.UTF-8 >initdb.log 2>&1 ||
		{ cat initdb.log; return 1; }
	serve "$pg/postgres" -D d -k "$PWD" -h '' -F -c max_connections=20
	soon "$pg/pg_isready" -h "$PWD" -U me || return
	ours
	under "$pg/psql" -X -q -A -t -h "$PWD" -U me -d postgres -v ON_ERROR_STOP=1 -f "$loads/load.sql" || return
	under "$pg/pgbench" -h "$PWD" -U me -i -q -s 1 postgres >bench.log 2>&1 || { cat bench.log; return 1; }
	under "$pg/pgbench" -h "$PWD" -U me -n -c 4 -j 2 -t 100 postgres 2>&1 | grep 'actually processed'
}
load_postgres() { with_server postgres_load; }
# Filters by what containers and units are run with; see filtered.c.
load_docker() { filtered docker; }
load_systemd() { filtered systemd; }
filtered() { # needs libseccomp-dev, as the tests do
	${CC:-cc} -O1 -o f "$loads/filtered.c" -lseccomp || return
	under ./f "$1" perl "$loads/load.pl" && under ./f "$1" sh -c 'echo $((6 * 7)) | sort'
}

load perl perl
load lua lua5.4
load python python3
load php php
load ruby ruby
load node node
load emacs emacs
load gdb gdb
load awk awk
load bash bash
load openssl openssl
load java java keytool
load redis redis-server redis-cli redis-benchmark setpriv
load memcached memcached python3 setpriv
load nginx nginx python3 setpriv
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
load postgres "${pg:-/usr/lib/postgresql}/postgres" "${pg:-/usr/lib/postgresql}/pgbench" setpriv
load docker "${CC:-cc}" perl
load systemd "${CC:-cc}" perl
echo "$ran programs ran"
exit $failed
