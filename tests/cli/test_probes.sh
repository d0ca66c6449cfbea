#!/bin/sh
# The probes of allocator/base/phase.h: what bpftrace and perf find in each product, that each is one nop while nobody looks,
# and that a debugger that looks sees phases, refills and stalls with their arguments.
#
#   tests/cli/test_probes.sh BUILD_DIR
set -eu
build=${1:?usage: test_probes.sh BUILD_DIR}
grep -q -- '-DSM_SDT=1' "$build/flags" || { echo "SKIP: built without sys/sdt.h (systemtap-sdt-dev)"; exit 77; }
command -v readelf >/dev/null 2>&1 && command -v objdump >/dev/null 2>&1 || { echo "SKIP: no binutils"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fails=0
fail() { echo "FAIL $*"; fails=$((fails + 1)); }

# A note as "NAME ARGUMENTS LOCATION".
notes() {
	readelf -n "$1" | awk '/^ *Provider:/ { ours = $2 == "spanmark" } !ours { next } /^ *Name:/ { name = $2 }
		/^ *Location:/ { at = $2; sub(/^0x0*/, "", at); sub(/,$/, "", at) } /^ *Arguments:/ { print name, NF - 1, at }'
}
malloc="phase_enter 1
phase_leave 1
refill 1
refill_large 1"
all="gc_phase 1
$malloc
stall 2"
for file in spanmark libspanmark.so.0 libspanmark-malloc.so; do
	notes "$build/$file" >"$dir/notes"
	want=$all
	[ "$file" != libspanmark-malloc.so ] || want=$malloc
	have=$(cut -d' ' -f1,2 "$dir/notes" | sort -u)
	[ "$have" = "$want" ] || fail "$file has the probes: $(echo $have); expected: $(echo $want)"
	# Three kinds of cache refill: of a collected heap, of a thread, of a CPU.
	[ "$(grep -c '^refill ' "$dir/notes")" -ge 3 ] || fail "$file: a kind of refill has no probe"
	objdump -d --no-show-raw-insn "$build/$file" | sed -n 's/^ *\([0-9a-f]*\):[[:space:]]*nop[[:space:]]*$/\1/p' | sort >"$dir/nops"
	cut -d' ' -f3 "$dir/notes" | sort | comm -23 - "$dir/nops" >"$dir/other"
	[ ! -s "$dir/other" ] || fail "$file: no nop at $(echo $(cat "$dir/other"))"
done

# What is seen of a collector's life (tests/faults/gc_life.c): each probe is hit, with an argument that is one.
if command -v gdb >/dev/null 2>&1; then
	for p in phase_enter refill gc_phase stall; do
		printf 'tbreak -probe-stap spanmark:%s\n' "$p"
	done >"$dir/script"
	cat >>"$dir/script" <<-'SCRIPT'
	set pagination off
	set confirm off
	handle SIGURG nostop noprint pass
	run
	SCRIPT
	for i in 1 2 3 4; do
		printf 'printf "hit %%d arguments, %%d\\n", $_probe_argc, $_probe_arg0\ncontinue\n'
	done >>"$dir/script"
	timeout 300 gdb -batch -x "$dir/script" "$build/faults/gc_life" >"$dir/out" 2>&1 </dev/null || true
	if grep -q 'ptrace.*not permitted\|Could not trace' "$dir/out"; then
		echo "SKIP probes seen by gdb: no ptrace here"
	elif [ "$(grep -cE '^hit [12] arguments, [0-9]+$' "$dir/out")" != 4 ]; then
		tail -30 "$dir/out"
		fail "gdb did not stop at all four probes"
	fi
else
	echo "SKIP probes seen by gdb: it is not installed"
fi
[ "$fails" = 0 ] || exit 1
echo "probes: listed, nops, seen"
