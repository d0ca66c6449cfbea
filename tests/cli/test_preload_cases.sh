#!/bin/sh
# What goes wrong with a preloaded malloc, after public bug reports of all of them: each case a program in tests/preload
# that fails where the library keeps a descriptor or a lock, says something, or believes what held at the start.
#
#   tests/cli/test_preload_cases.sh BUILD_DIR
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)/preload
lib=$(readlink -f "$1/libspanmark-malloc.so" 2>/dev/null || true)
so=$(readlink -f "$1/libspanmark.so.0" 2>/dev/null || true)
[ -n "$lib" ] && [ -f "$lib" ] || { echo "no libspanmark-malloc.so in $1"; exit 77; }
case $1 in *address* | *thread* | *undefined*) echo "a sanitizer has a malloc of its own"; exit 77 ;; esac
cc=${CC:-cc}
command -v "$cc" >/dev/null 2>&1 || { echo "no compiler here"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
failed=0

build() { # build NAME [FLAG...]: 1: it cannot be built here
	name=$1
	shift
	"$cc" -O1 -fno-builtin -w -o "$name" "$here/$name.c" "$@" -pthread -ldl 2>log
}
under() { timeout 300 env LD_PRELOAD="$lib" ${SETTINGS:+SPANMARK_MALLOC="$SETTINGS"} "$@"; }
check() { # check WHAT COMMAND...
	what=$1 status=0
	shift
	"$@" >log 2>&1 || status=$?
	case $status in
	0) echo "ok       $what" ;;
	77) echo "skipped  $what: the system does not allow it" ;;
	*) echo "FAILED   $what (status $status)"; tail -n 5 log; failed=1 ;;
	esac
}
SETTINGS=

# Handlers of a library of the program, registered by its constructor, allocate around fork.
"$cc" -O1 -shared -fPIC -o libuser.so "$here/forklib.c" -pthread
build fork -L. -luser -Wl,-rpath,"$dir"
check "fork handlers of the program's libraries" under ./fork
SETTINGS=cache.mode=cpu
check "fork handlers, caches of CPUs" under ./fork
SETTINGS=

# Wrappers of libc's calls allocate: none of ours may run inside our locks.
for hook in OPEN MADVISE; do
	"$cc" -w -shared -fPIC -DHOOK_$hook -o hook$hook.so "$here/hook.c" -ldl
done
build trim
check "a wrapper of open that allocates" timeout 300 env LD_PRELOAD="$dir/hookOPEN.so:$lib" ./trim
check "a wrapper of madvise and munmap that allocates" timeout 300 env LD_PRELOAD="$dir/hookMADVISE.so:$lib" ./trim

# The same of everything of libc that anybody might wrap and that we call at all: at birth, in threads, around fork.
build threads
build threadend
if "$cc" -O1 -w -shared -fPIC -o hookall.so "$here/hookall.c" -ldl 2>log; then
	hooked() { timeout 300 env SPANMARK_MALLOC="$SETTINGS" LD_PRELOAD="$dir/hookall.so:$lib" "$@"; }
	for SETTINGS in "" cache.mode=cpu; do
		check "wrappers of all that is called${SETTINGS:+, $SETTINGS}: trim" hooked ./trim
		check "threads" hooked ./threads
		check "threads that end" hooked ./threadend 100 many
		check "fork" hooked ./fork
	done
	SETTINGS=
else
	echo "skipped  wrappers of all that is called: not made for this machine"
fi
# What else is called computes and no more: a new name here needs a wrapper there, or a direct system call.
pure='mem[a-z]*|bcmp|str[a-z_]*|sig(del|add|empty|fill)set|v?snprintf|fprintf|fput[cs]|putc|fwrite|environ|__environ'
pure="$pure|abort|dlsym|__errno_location|__register_atfork|__rseq_[a-z]*|__ctype_[a-z_]*|__cxa_finalize|_ITM_[A-Za-z]*"
pure="$pure|__gmon_start__|__stack_chk_fail|__tls_get_addr|tolower"
called() {
	nm -D --undefined-only "$lib" | sed 's/.* //; s/@.*//' | sort -u >undefined
	sed -n 's/^WRAP(\(.*\))$/\1/p' "$here/hookall.c" | sort -u >wrapped
	! comm -23 undefined wrapped | grep -vxE "$pure"
}
if command -v nm >/dev/null 2>&1; then check "every call that may be wrapped is" called; fi

build idle
check "a burst of large objects goes back" under ./idle 1000000 2000 1 1
check "a burst of small objects goes back" under ./idle 100000 1000 4 1

# Descriptors: 2 may be a data file; any number may be closed and used again.
if build fd2 -lseccomp; then
	data() { under ./fd2 deny && [ "$(wc -c <data.bin)" = 14 ]; }
	check "descriptor 2 is a data file" data
	build sandbox -lseccomp
	check "a filter that kills for other calls than malloc's" under ./sandbox
	check "the same before the first allocation" under ./sandbox first
else
	echo "skipped  seccomp: no libseccomp-dev here"
fi
build forkfd
check "a daemon's descriptors in its worker" under ./forkfd
if command -v bash >/dev/null 2>&1; then
	printf '%s\n' one "two from a subshell" "three from a pipe" "four from a program" >dup3.txt
	log3() { under bash "$here/dup3.sh" 2>/dev/null >got && cmp got dup3.txt; }
	check "a shell's descriptor 3" log3
else
	echo "skipped  a shell's descriptor 3: no bash"
fi
none() { [ "$(under ls -l /proc/self/fd | grep -c io_uring)" = 0 ]; }
check "no descriptor is kept" none

# Linking: nothing but libc, nothing exported but malloc; other names and other ways to bind.
alone() { ! objdump -p "$lib" | grep NEEDED | grep -v 'libc\.so\|ld-linux'; }
if command -v objdump >/dev/null 2>&1; then check "needs libc alone" alone; fi
exports() { ! nm -D --defined-only "$lib" | grep -E ' _?_?sm_'; }
if command -v nm >/dev/null 2>&1; then check "exports malloc alone" exports; fi
build ownring -rdynamic
check "a program's own io_uring functions" under ./ownring
build libcnames
check "__libc_malloc and the like" under ./libcnames
"$cc" -fno-builtin -w -shared -fPIC -o plug.so "$here/plug.c"
build deepbind
check "RTLD_DEEPBIND" under ./deepbind deep
build dlclose
check "opened late, closed before its threads end" timeout 300 ./dlclose "$lib" close malloc free
if [ -n "$so" ]; then check "the same of libspanmark" timeout 300 ./dlclose "$so" close; fi

# Limits and accounting.
build aslimit
check "RLIMIT_AS at run time" under ./aslimit 1000
build mlock
check "mlockall as a user" under ./mlock
vmsize() { "$@" sh -c 'while read -r k v _; do [ "$k" != VmSize: ] || echo "$v"; done </proc/self/status'; }
small() { # the address space that a process has more with us: limits and mlockall count it
	more=$(($(vmsize ${1:-under}) - $(vmsize env)))
	echo "$more KiB"
	[ "$more" -lt 2048 ]
}
check "a small process takes little address space" small
back() { # what was freed is neither resident nor mapped
	under "$dir/idle" 100000000 2000 1 1
}
check "large objects are unmapped" back
build foreign
check "a large reservation of the program's in the heap's range" under ./foreign end
check "small ones right in front of the heap" under ./foreign front
build commit
check "what was freed is not charged" under ./commit
if [ "$(cat /proc/sys/vm/overcommit_memory)" = 0 ]; then
	build overcommit
	check "obvious overcommit is refused" under ./overcommit
fi
grouped() { # in a group of 300 MiB: 2000 MiB with 50 touched
	for g in /sys/fs/cgroup/memory /sys/fs/cgroup; do
		f=$g/spanmark-sparse-$$
		mkdir "$f" 2>/dev/null || continue
		for limit in memory.limit_in_bytes memory.max; do
			[ -w "$f/$limit" ] && echo 300M >"$f/$limit" && [ -w "$f/cgroup.procs" ] || continue
			status=0
			timeout 300 sh -c "echo \$\$ >$f/cgroup.procs; LD_PRELOAD=$lib exec ./sparse 2000 50" || status=$?
			rmdir "$f" || true
			return $status
		done
		rmdir "$f"
	done
	return 77
}
build sparse
check "a sparse table in a control group" grouped

# Stacks, threads, errno, contracts.
build smallstack
# Frames of a build without optimisation are three times as large.
kib=8
! readelf -wi "$lib" 2>/dev/null | grep -m 1 DW_AT_producer | grep -q -e ' -O0' || kib=32
check "a coroutine of $kib KiB" under ./smallstack $kib
check "threads that only end" under ./threadend 200 plain
check "threads that allocate when they end" under ./threadend 5000 first
check "threads that allocate much when they end" under ./threadend 2000 many
check "threads that only free" under ./threadend 5000 others
build align
check "posix_memalign, every power of two" under ./align
SETTINGS=heap.arena=1m
check "posix_memalign, small arenas" under ./align
SETTINGS=
build firsterrno
check "errno over the first allocation" under ./firsterrno
build errno
quiet() { [ "$(under ./errno "$@")" = done ]; }
check "errno over calls that succeed" quiet
check "errno over small ones" quiet 1

# A file that lies about the number of CPUs.
lie() { unshare -m sh "$here/fake.sh" "$1" env SPANMARK_MALLOC=cache.mode=cpu LD_PRELOAD="$lib" timeout 300 ./threads; }
if unshare -m true 2>/dev/null && unshare -m sh "$here/fake.sh" 0 true 2>/dev/null; then
	for text in 0 "" nonsense 4294967295 0-1; do check "CPUs: '$text'" lie "$text"; done
	many() { small 'unshare -m sh '"$here"'/fake.sh 0-4095 env LD_PRELOAD='"$lib"; }
	check "4096 CPUs, a small process" many
else
	echo "skipped  CPUs from a file: no mount namespace here"
fi

# Silence, unless it is asked for.
silent() { SETTINGS=$1 && under sort /dev/null 2>said && [ "$(wc -l <said)" = "$2" ]; }
check "a wrong setting is left out in silence" silent cache.mode=wrong 0
check "verbose=1 says it" silent verbose=1,cache.mode=wrong 1
exit $failed
