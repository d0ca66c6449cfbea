#!/bin/sh
# Each call to the operating system refused, the nth for n = 1, 2, ..: what becomes of `spanmark run`, of a program
# with a collector, and of one under the preloaded malloc. docs/RELIABILITY.md has the table.
#
#   tests/faults/faults.sh BUILD_DIR [PROGRAM [CALL [ERRNO [N]]]]     all cells, or those; a test for each program
#
# A cell holds when the program ends by itself, in time, leaving no process behind, and
#   run      with status 0, all samples measured and the report whole; or 1 or 2 and a line that says why. What was in
#            the store before is there, with every sample that was said to be finished; the report's file has its old
#            contents or all of the new; no other file lies beside it.
#   gc       with 0, or 1 and a line that names the call; objects and the heap whole, the verifier content.
#   malloc   the same, blocks whole.
#
# n = 1, 2, the last, all from the first and from the middle on, and two errors a call. SM_TEST_LONG=1: every n up to 40, then in
# growing steps, each third of them with all that follow, and all errors. FAULT_JOBS cells at a time (2). FAULT_OUTCOMES=FILE: what became of each cell.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

calls='mmap ENOMEM EPERM EAGAIN
munmap ENOMEM EINVAL
mprotect ENOMEM EACCES
madvise EINVAL EAGAIN EPERM ENOMEM
mbind EPERM EINVAL ENOSYS
sched_setaffinity EINVAL EPERM
membarrier ENOSYS EPERM
perf_event_open EACCES EMFILE ENOSYS
io_uring EPERM ENOMEM ENOSYS EAGAIN
open EMFILE EACCES EINTR ENOENT
read EIO EINTR
write ENOSPC EIO EINTR EDQUOT
fsync EIO ENOSPC
truncate EIO ENOSPC
lock EAGAIN EIO
rename EACCES ENOSPC
pthread_create EAGAIN ENOMEM
fork EAGAIN ENOMEM
execve ENOENT EACCES ENOMEM
pipe EMFILE ENFILE
poll EINTR ENOMEM
store-open EMFILE EACCES
store-read EIO EINTR
store-write ENOSPC EIO
store-fsync EIO ENOSPC
store-truncate EIO ENOSPC
store-lock EAGAIN EIO
store-mmap ENOMEM EACCES'

# The program of a cell, in the folder of a cell. store-CALL: of the calls on the store's files, SQLite's.
start() { # start PROGRAM CALL ERRNO N
	only=""
	[ "${2#store-}" = "$2" ] || only="-f $PWD/s.db"
	[ "$2" != munmap ] || only="-x /libc.so"
	# shellcheck disable=SC2086
	set -- "$1" "$build/faults/inject" "${2#store-}" "$3" "$4" $only -r seen -t 200
	case $1 in
	run)
		shift
		"$@" "$build/spanmark" run -w churn -p ops=2000 --backend gc,span,libc --reps 1 --timeout 100 --seed 1 \
			--store "$PWD/s.db" -o "$PWD/out.json" -f json
		;;
	gc) shift && "$@" "$build/faults/gc_life" ;;
	malloc) shift && "$@" -e LD_PRELOAD="$build/libspanmark-malloc.so" "$build/faults/malloc_life" ;;
	esac >out 2>err </dev/null
}

ask() { sqlite3 -batch s.db "$1"; }

judge_run() { # judge_run STATUS CALL.N: prints what does not hold
	[ "$(ask 'PRAGMA integrity_check')" = ok ] || echo "the store is damaged"
	[ "$(ask "SELECT count(*) FROM sample WHERE run=1 AND status='ok'")" = 1 ] || echo "an older sample is lost"
	said=$(sed -n 's/^\[\([0-9]*\)\/[0-9]*\] .*/\1/p' err | tail -n 1)
	said=${said:-0}
	kept=$(ask 'SELECT count(*) FROM sample WHERE run=2')
	[ "$kept" -ge "$said" ] || echo "$said samples were said to be finished, $kept are in the store"
	if [ "$(cat out.json)" != old ]; then
		[ "$(sqlite3 :memory: "SELECT json_valid(readfile('out.json'))")" = 1 ] || echo "half a report"
	elif [ "$1" = 0 ]; then
		echo "status 0 without a report"
	fi
	for f in *; do
		case $f in s.db | s.db-wal | s.db-shm | s.db-journal | out.json | out | err | seen) ;; *) echo "left behind: $f" ;; esac
	done
	bad=$(ask "SELECT count(*) FROM sample WHERE run=2 AND status<>'ok'")
	[ "$(ask "SELECT count(*) FROM sample WHERE run=2 AND status='timeout'")" = 0 ] || echo "a worker hung"
	case $2 in write.*+) [ "$1" = 0 ] || return 0 ;; esac # nothing can be said any more
	case $1 in
	0) [ "$kept" = 3 ] && [ "$bad" = 0 ] || echo "status 0, but $kept samples, $bad of them failed" ;;
	1) [ "$bad" -gt 0 ] || grep -q '^spanmark: ' err || echo "status 1 without a reason" ;;
	2) grep -q '^spanmark: ' err || echo "status 2 without a reason" ;;
	esac
}

judge() { # judge PROGRAM STATUS CALL.N
	case $2 in
	0) ;;
	# Where nothing at all can be written, the status alone says so.
	1 | 2) [ -s err ] || case $3 in write.*+) ;; *) echo "status $2 without a word" ;; esac ;;
	124) echo "ran past its time" ;;
	125) echo "left a process behind" ;;
	*) echo "status $2" ;;
	esac
	case $1 in
	run) judge_run "$2" "$3" ;;
	# The library may say something of its own, too: that a cycle could not be verified.
	gc | malloc) [ "$2" != 1 ] || [ "$(grep -vc '^spanmark: ' err)" = 1 ] || echo "not one line" ;;
	esac
}

cell() { # cell PROGRAM CALL ERRNO N: one line, in the file "cells"; the log of one that does not hold in "failed"
	dir=$work/$1.$2.$3.$4 status=0
	mkdir "$dir"
	cd "$dir"
	[ "$1" != run ] || { cp "$work/store" s.db && echo old >out.json; }
	start "$1" "$2" "$3" "$4" || status=$?
	wrong=$(judge "$1" "$status" "$2.$4")
	said=$(grep -v '^warning: \|^\[[0-9]*/' err | head -n 1 | sed "s|$work/||g" || true)
	echo "$1 $2 $3 $4: ${wrong:+DOES NOT HOLD: $wrong: }status $status${said:+: $said}" >>"$work/cells"
	[ -z "$wrong" ] || { echo "---- $1 $2 $3 $4: $wrong (status $status)" && tail -n 12 err; } >>"$work/failed"
	cd "$work"
	rm -rf "$dir"
}

# Which n to try. An interrupt that comes again and again without an end is no event: no + for EINTR.
numbers() { # numbers SEEN ERRNO FIRST_ERRNO
	if [ -z "$long" ]; then
		echo 1
		[ "$1" -lt 2 ] || echo 2
		[ "$1" -lt 3 ] || echo "$1"
		[ "$2" = "$3" ] && [ "$2" != EINTR ] || return 0
		echo 1+
		[ "$1" -lt 4 ] || echo "$(($1 / 2))+"
		return
	fi
	n=1
	while [ "$n" -le "$1" ]; do
		echo "$n"
		[ $((n % 3)) != 1 ] || [ "$2" = EINTR ] || echo "$n+"
		[ "$n" -lt 40 ] && n=$((n + 1)) || n=$((n + n / 4))
	done
}

cells_of() { # cells_of PROGRAM CALL ERRNO ..: how often is it made, then a line for each cell
	program=$1 call=$2
	shift 2
	mkdir -p "$work/count"
	cd "$work/count"
	[ "$program" != run ] || { cp "$work/store" s.db && rm -f s.db-* && echo old >out.json; }
	# What a background thread calls may not come every time.
	for try in 1 2 3; do
		start "$program" "$call" "$1" 0 || { echo "$program fails by itself: $(cat err)" >>"$work/failed"; return; }
		seen=$(cat seen)
		[ "$seen" = 0 ] && [ "$try" -lt 3 ] && [ "$program" != run ] || break
	done
	[ "$seen" -gt 0 ] || { echo "$program $call: not called here" >>"$work/cells" && return; }
	[ -n "$long" ] || [ $# -le 2 ] || set -- "$1" "$2"
	for err in "$@"; do
		for n in $(numbers "$seen" "$err" "$1"); do echo "$program $call $err $n"; done
	done
}

if [ "${1:-}" = --cell ]; then
	cell "$2" "$3" "$4" "$5"
	exit 0
fi

case $1 in *address* | *thread*) echo "a sanitizer ends when it is refused memory" && exit 77 ;; esac
build=$(cd "$1" && pwd)
shift
long=${SM_TEST_LONG:-}
[ "$long" != 0 ] || long=""
command -v sqlite3 >/dev/null || { echo "no sqlite3 here" && exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export build work
"$build/faults/inject" open EIO 0 /bin/true || { echo "no seccomp listener here" && exit 77; }
"$build/spanmark" run -w churn -p ops=2000 --backend libc --reps 1 --counters none --store "$work/store" -o /dev/null >/dev/null 2>&1
: >"$work/cells"
: >"$work/failed"

if [ $# -ge 4 ]; then
	echo "$1 $2 $3 $4" >"$work/list"
else
	for program in ${1:-run gc malloc}; do
		echo "$calls" | while read -r call errors; do
			case $program.$call in gc.store-* | malloc.store-*) continue ;; esac
			# shellcheck disable=SC2086
			[ -n "${2:-}" ] && [ "$2" != "$call" ] || cells_of "$program" "$call" ${3:-$errors}
		done
	done >"$work/list"
fi
xargs -r -P "${FAULT_JOBS:-2}" -L 1 "$here/faults.sh" --cell <"$work/list"
[ -z "${FAULT_OUTCOMES:-}" ] || sort "$work/cells" >"$FAULT_OUTCOMES"
tried=$(grep -c ': status' "$work/cells" || true)
echo "$tried cells"
[ $# -ge 2 ] || [ "$tried" -ge 30 ] || echo "too few cells: is anything refused at all?" >>"$work/failed"
if [ -s "$work/failed" ]; then
	cat "$work/failed"
	exit 1
fi
