#!/bin/sh
# The collector against other ways to manage memory: one table of medians and ratios.
#
#   tests/bench/gc.sh BUILD_DIR [-n REPS] [-o FILE] [-c "CANDIDATE .."] [GROUP ..]
#
# Groups: trees1 trees2 churn64 churn1k ring graph (all when none is named). Every repetition runs every
# candidate (-c: each of these, named as in the table) once, in turn, so that what disturbs the machine disturbs all
# of them alike: trust the ratios.
# A ratio is the candidate's figure over spanmark's; above 1, spanmark is better (for rates the other way round).
#
# Peers: C with malloc and free (glibc, and by LD_PRELOAD mimalloc, jemalloc, tcmalloc-minimal), Go, and
# OpenJDK 17 with its Parallel, G1 and Z collectors. Debian's packages are installed when missing
# (SM_NO_DEPS=1: not; what is missing is left out and named).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?usage: tests/bench/gc.sh BUILD_DIR [-n REPS] [-o FILE] [-c CANDIDATES] [GROUP ..]}" && pwd)
shift
reps=5
out=""
only=""
while getopts n:o:c: opt; do
	case $opt in
	n) reps=$OPTARG ;;
	o) out=$OPTARG ;;
	c) only=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
groups=${*:-trees1 trees2 churn64 churn1k ring graph}

say() { echo "bench-gc: $*" >&2; }

session=$build/tests/bench_session
peers=$build/peers
mkdir -p "$peers"
raw=$peers/raw.txt
: >"$raw"

# ---- peers -----------------------------------------------------------------------------------------
"$here/../setup/deps.sh" bench jdk || say "some packages could not be installed"
command -v go >/dev/null 2>&1 || "$here/../setup/deps.sh" go || true
${CC:-gcc} -O2 -pthread -o "$peers/c" "$here/peers/peer.c"
go=""
if command -v go >/dev/null 2>&1; then
	(cd "$here/peers" && GO111MODULE=off GOFLAGS= go build -o "$peers/go" peer.go) && go=$peers/go
fi
[ -n "$go" ] || say "no Go: left out"
jdk=""
if command -v javac >/dev/null 2>&1; then
	javac -d "$peers" "$here/peers/Peer.java" && jdk=yes
fi
[ -n "$jdk" ] || say "no JDK: left out"

library() { # NAME: path of a malloc library
	for f in /usr/lib/*/lib"$1".so* /usr/lib/lib"$1".so*; do
		if [ -e "$f" ]; then
			echo "$f"
			return
		fi
	done
}

# ---- running ---------------------------------------------------------------------------------------
record() { # GROUP CANDIDATE COMMAND..: appends "group candidate metric value" lines
	group=$1 candidate=$2
	shift 2
	case " ${only:-$candidate} " in
	*" $candidate "*) ;;
	*) return 0 ;;
	esac
	# A virtual machine's free memory goes back to its host, and the program that touches it first waits for the host: the
	# one that runs behind a large one. So that all are alike, free memory that the host has behind it is made before each.
	dd if=/dev/zero of="/dev/shm/spanmark-bench.$$" bs=1M count=512 2>/dev/null || true
	rm -f "/dev/shm/spanmark-bench.$$"
	if ! "$@" >"$peers/out.txt" 2>"$peers/err.txt"; then
		say "$group: $candidate failed: $(head -n 1 "$peers/err.txt")"
		return 0
	fi
	awk -v g="$group" -v c="$candidate" '
		$2 != "n/a" && NF >= 2 { print g, c, $1, $2; v[$1] = $2 }
		END { if (v["ops"] > 0) print g, c, "cpu_ns_per_op", (v["user_s"] + v["system_s"]) * 1e9 / v["ops"] }
	' "$peers/out.txt" >>"$raw"
}

peers_in_c() { # GROUP ARGS..
	g=$1
	shift
	record "$g" C-glibc "$peers/c" "$@"
	for m in mimalloc jemalloc tcmalloc_minimal; do
		lib=$(library "$m")
		if [ -n "$lib" ]; then
			record "$g" "C-$m" env LD_PRELOAD="$lib" "$peers/c" "$@"
		fi
	done
}

peers_collected() { # GROUP ARGS..
	g=$1
	shift
	if [ -n "$go" ]; then
		record "$g" Go "$go" "$@"
	fi
	if [ -n "$jdk" ]; then
		for c in Parallel G1 Z; do
			record "$g" "JDK17-$c" java "-XX:+Use${c}GC" -cp "$peers" Peer "$@"
		done
	fi
}

run_group() {
	case $1 in
	trees1 | trees2)
		n=${1#trees}
		record "$1" spanmark "$session" binary-trees depth=18 threads="$n"
		record "$1" spanmark-throughput "$session" binary-trees depth=18 threads="$n" -s gc.policy=throughput
		peers_in_c "$1" trees 18 "$n"
		peers_collected "$1" trees 18 "$n"
		;;
	churn64)
		record "$1" spanmark "$session" churn size=64 ops=50000000
		peers_in_c "$1" churn 64 50000000 1
		peers_collected "$1" churn 64 20000000 1
		;;
	churn1k)
		record "$1" spanmark "$session" churn size=1024 ops=20000000
		peers_in_c "$1" churn 1024 20000000 1
		peers_collected "$1" churn 1024 4000000 1
		;;
	ring)
		record "$1" spanmark "$session" ring
		peers_in_c "$1" ring 200000 1024 5000000
		peers_collected "$1" ring 200000 1024 5000000
		;;
	graph)
		# Pinned, as the command does it: two workers on one CPU by chance would be the scheduler's figure.
		pin1=""; pin2=""
		if [ "$(nproc)" -ge 2 ]; then pin1="-P 0,1"; pin2="-P 0,1,0"; fi
		# shellcheck disable=SC2086
		record "$1" spanmark-1 "$session" graph -k 1 $pin1
		record "$1" spanmark-2 "$session" graph -k 2 $pin2
		record "$1" spanmark-stw-1 "$session" graph -k 1 -s gc.mode=stw $pin1
		record "$1" spans-1 "$session" graph -k 1 -s gc.mark=spans $pin1
		record "$1" spans-2 "$session" graph -k 2 -s gc.mark=spans $pin2
		record "$1" spans-stw-1 "$session" graph -k 1 -s gc.mode=stw -s gc.mark=spans $pin1
		record "$1" spans-stw-2 "$session" graph -k 2 -s gc.mode=stw -s gc.mark=spans $pin2
		# Two CPUs for two workers. (A virtual machine with a collector of its own takes what it likes.)
		(
			export GOMAXPROCS=2
			peers_collected "$1" graph 8000000 4 5
		)
		;;
	*)
		say "no group '$1': there are trees1 trees2 churn64 churn1k ring graph"
		exit 2
		;;
	esac
}

rep=1
while [ "$rep" -le "$reps" ]; do
	for g in $groups; do
		say "repetition $rep of $reps: $g"
		run_group "$g"
	done
	rep=$((rep + 1))
done

# ---- the table -------------------------------------------------------------------------------------
table() {
	awk '
	function median(key,   n, list, i, j, t) {
		n = split(values[key], list, " ")
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && list[j] + 0 < list[j - 1] + 0; j--) {
				t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
			}
		return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
	}
	{
		key = $1 SUBSEP $2 SUBSEP $3
		values[key] = values[key] " " $4
		if (!(($1, $2) in seen)) {
			seen[$1, $2] = 1
			candidates[$1] = candidates[$1] " " $2
		}
		if (!($1 in group)) {
			group[$1] = 1
			order = order " " $1
		}
	}
	function row(g, c, m, first, fmt, rate,   v, base, ratio) {
		if (!((g, c, m) in values))
			return
		v = median(g SUBSEP c SUBSEP m)
		base = median(g SUBSEP first SUBSEP m)
		ratio = "n/a"
		if (base > 0 && v > 0)
			ratio = sprintf("%.2f", rate ? base / v : v / base)
		printf("| %s | %s | %s | " fmt " | %s |\n", g, c, m, v, ratio)
	}
	# By how much one figure of the graph is above another, of the same repetition; above 1, a is better.
	function over(a, b, m, of, less,   n, na, x, y, i, key) {
		na = split(values["graph", a, m], x, " ")
		n = split(values["graph", b, of], y, " ")
		if (n == 0 || n != na)
			return
		key = "graph" SUBSEP a SUBSEP "over " b " " of
		for (i = 1; i <= n; i++)
			values[key] = values[key] " " (less ? y[i] / x[i] : x[i] / y[i])
		printf("| graph | %s over %s | %s | | %.2f |\n", a, a == b ? "independent loads" : b, m, median(key))
	}
	function overs(a, two, twin,   rate) {
		rate = "mark_objects_per_s"
		over(a, a, rate, "memory_bound_loads_per_s")
		over(a, "Go", rate, rate)
		over(a, "Go", "cpu_ns_per_op", "cpu_ns_per_op", 1)
		over(a, twin, rate, rate)
		over(a, twin, "cpu_ns_per_op", "cpu_ns_per_op", 1)
		over(two, a, rate, rate)
	}
	END {
		print "| work | candidate | figure | median | ratio |"
		print "|---|---|---|---|---|"
		ng = split(order, gs, " ")
		for (i = 1; i <= ng; i++) {
			g = gs[i]
			nc = split(candidates[g], cs, " ")
			for (j = 1; j <= nc; j++) {
				c = cs[j]
				if (g ~ /^trees/)
					row(g, c, "wall_s", cs[1], "%.3f", 0)
				if (g ~ /^churn/)
					row(g, c, "ns_per_op", cs[1], "%.2f", 0)
				if (g == "ring") {
					row(g, c, "p50_us", cs[1], "%.3f", 0)
					row(g, c, "p999_us", cs[1], "%.3f", 0)
					row(g, c, "max_us", cs[1], "%.1f", 0)
					row(g, c, "stall_max_us", cs[1], "%.1f", 0)
				}
				if (g == "graph") {
					row(g, c, "mark_objects_per_s", cs[1], "%.3g", 1)
					row(g, c, "memory_bound_loads_per_s", cs[1], "%.3g", 1)
					row(g, c, "cpu_ns_per_op", cs[1], "%.1f", 0)
				}
				row(g, c, "peak_rss_kib", cs[1], "%.0f", 0)
			}
		}
		overs("spans-1", "spans-2", "spanmark-1")
		overs("spans-2", "", "spanmark-2")
		overs("spans-stw-1", "spans-stw-2", "spanmark-stw-1")
		overs("spans-stw-2", "", "")
	}' "$raw"
}

if [ -n "$out" ]; then
	table >"$out"
	say "wrote $out"
else
	table
fi
