#!/usr/bin/env bash
# Everything that proves the work, in one go, on a bare Debian 12 with git and make (.ci/run calls it).
#
#   tests/ci.sh [STEP ...]     the default steps, or only those named, one after another (tests/ci.sh --list prints the default)
#
# Every step installs what it needs itself, prints a header with the time since the start, and what it took. By default the
# first ones run alone and the others in two lanes, as much of each waits: for packages, for one emulated CPU, for the last
# test. What such a step printed is shown when it ends (build/ci/STEP.log meanwhile). A step that fails ends the run with
# status 1, beside it only the step in hand is brought to its end.
set -euo pipefail
cd "$(dirname "$0")/.."
export CI=${CI:-true}
outermost=${CI_STARTED:+no}
export CI_STARTED=${CI_STARTED:-$(date +%s)}
JOBS=$(nproc)
# Tests wait as often as they work. Stress tests do the same operations each time: what a fresh seed finds is for `make soak`.
export TEST_JOBS=${TEST_JOBS:-3} MUTANT_JOBS=${MUTANT_JOBS:-3} SM_TEST_SEED=${SM_TEST_SEED:-1}
mk() { make --no-print-directory -j"$JOBS" "$@"; }

# ---- steps: one function each, in the order they run ---------------------------------------------
step_test() { make --no-print-directory test WERROR=1; }
step_layers() { make --no-print-directory layers; }
step_format() { make --no-print-directory format-check; }
step_clang() { # the second compiler over everything: clang warns before it optimizes, so -O0 tells all, in half the time
	tests/setup/deps.sh clang
	mk CC=clang OPT=-O0 VARIANT_SUFFIX=-O0 WERROR=1 all build-tests
}
# What reads the sources, or installs the plain build: the same whatever is built.
SAME="test_docs.sh test_layers.sh test_hygiene.sh test_run_sh.sh test_target.sh test_install.sh"
step_asan() { # the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer: -O1 compiles in half the time of -O2
	# With sanitizers gcc loses the ranges of numbers and finds every buffer of a name too short.
	mk SAN=address,undefined OPT="-O1 -fno-var-tracking -Wno-format-truncation" WERROR=1 all build-tests
	ASAN_OPTIONS=detect_stack_use_after_return=0:detect_leaks=0:allocator_may_return_null=1 \
	UBSAN_OPTIONS=print_stacktrace=1 SM_TEST_SECONDS=4 TEST_SKIP=$SAME \
		tests/run.sh "$(make -s SAN=address,undefined print-build)"
}
step_programs() { make --no-print-directory test-programs; } # installs what it needs itself
step_fleet() { make --no-print-directory test-fleet; } # likewise
step_page() { make --no-print-directory test-page; } # likewise
# What takes turns: a number that the next commit has one more of.
turn() { git -c safe.directory='*' rev-list --count HEAD 2>/dev/null || echo $(($(date +%s) / 86400)); }
step_vm() { # ARM64 and NUMA machines, emulated: of the two of x86 one by rotation, or all of MACHINES=".."
	local x86=(x86-2s x86-odd)
	SM_VM_SLOWER=${SM_VM_SLOWER:-4} make --no-print-directory test-vm QUICK=1 \
		MACHINES="${MACHINES:-arm64-n1 arm64-smp arm64-16k ${x86[$(($(turn) % 2))]}}"
}
step_bare() { # make run where there is nothing but git and make
	status=0
	tests/setup/bare.sh run || status=$?
	[ "$status" = 77 ] || return "$status"
}
step_model() { make --no-print-directory test-model; } # installs what it needs itself
step_mutants() { # a third of them, the next third at the next commit: three commits in a row cover all
	make --no-print-directory test-mutants THIRD="${MUTANTS_THIRD:-$(($(turn) % 3))}"
}
# make test in another kind of build: one of them by rotation, or all of BUILDS="..". Without what SAME names, and
# without refused system calls, which end in the same branches of ours in each. And at -O3, where gcc sees most, all is
# compiled each time: a warning that comes with the next commit's turn is another's.
step_builds() {
	local kinds=(O0 O3 unit13 unit16 clang) kind args
	local same="$SAME test_faults_run.sh test_faults_gc.sh test_faults_malloc.sh"
	for kind in ${BUILDS:-${kinds[$(($(turn) % 5))]}}; do
		case $kind in
		O0 | O3) args="OPT=-$kind VARIANT_SUFFIX=-$kind" ;;
		unit13 | unit16) args="UNIT_SHIFT=${kind#unit}" ;;
		clang) args="CC=clang" ;;
		*) echo "ci: BUILDS knows ${kinds[*]}, not '$kind'" >&2; return 2 ;;
		esac
		echo "---- tests of the build $kind"
		# shellcheck disable=SC2086
		mk $args WERROR=1 all build-tests
		# shellcheck disable=SC2086
		TEST_SKIP=$same SM_TEST_SECONDS=4 tests/run.sh "$(make -s $args print-build)"
	done
	mk OPT=-O3 VARIANT_SUFFIX=-O3 WERROR=1 all build-tests
}
step_long() { # what takes too long for every run: 100 000 threads born and dead, a list of 10 million
	local b
	b=$(make -s print-build)
	mk WERROR=1 "$b/tests/stress_threads" "$b/tests/stress_memory"
	SM_TEST_LONG=1 SM_TEST_SECONDS=1 timeout 1200 "$b/tests/stress_threads" births
	SM_TEST_LONG=1 timeout 1200 "$b/tests/stress_memory"
}
step_tsan() { # the collector's stress tests, what else has threads meet, the malloc heap's caches: ThreadSanitizer
	# Not test_thread_life: ThreadSanitizer forgets a thread in the round of destructors in which we still detach it.
	# A long history: a suppression goes by the function at the other side of a race, if its stack is still known.
	local b opts="suppressions=tests/support/tsan.supp:report_signal_unsafe=0:history_size=7"
	local tests="stress_graph stress_slots stress_finalizer stress_threads test_rseq test_shard"
	tests="$tests test_finalizer test_ephemeron test_roots test_misuse test_fork test_file_life test_trace"
	b=$(make -s SAN=thread print-build)
	# shellcheck disable=SC2086
	mk SAN=thread WERROR=1 $(printf "$b/tests/%s " $tests test_moments_table)
	# shellcheck disable=SC2086
	TSAN_OPTIONS=$opts SM_TEST_SECONDS=6 tests/run.sh "$b" $tests
	TSAN_OPTIONS=$opts SM_TEST_SCALE=20 tests/run.sh "$b" test_moments_table # one cell in five
}
step_hostile() { # tables and queues of a few entries, a mark stack of a page, every lock's rank checked
	local b t name programs=""
	b=$(make -s HOSTILE=1 print-build)
	for t in tests/*/test_*.c tests/*/stress_*.c; do
		t=${t##*/}
		for name in $HOSTILE_TESTS $SPANS_TESTS; do
			case $t in *"$name"*) programs="$programs $b/tests/${t%.c}"; break ;; esac
		done
	done
	# shellcheck disable=SC2086
	mk HOSTILE=1 WERROR=1 "$b/spanmark" $programs
	# shellcheck disable=SC2086
	SM_TEST_SECONDS=4 tests/run.sh "$b" $HOSTILE_TESTS
	# shellcheck disable=SC2086
	SM_TEST_SECONDS=4 SM_TEST_CONFIG=gc.mark=spans tests/run.sh "$b" $SPANS_TESTS
}
# What marks, once more by span.
SPANS_TESTS="stress_ test_moments test_lost_object test_barrier test_mark test_roots test_door test_finalizer test_ephemeron
test_flex test_promotion test_types test_cycle test_fork test_coroutine test_file_life"
# What goes through the allocator and the collector; the rest of the tests would see nothing of it.
HOSTILE_TESTS="stress_ test_moments test_lost_object test_barrier test_mark test_roots test_handshake test_finalizer test_fork test_verif
test_workq test_cache test_central test_pageheap test_lock test_heap test_large test_tiny test_span test_stack test_gcfail
test_types test_flex test_promotion test_refs test_cell test_ephemeron test_misuse test_thread_life test_coroutine test_door
test_cycle test_inspect test_limit test_throttle test_stalls test_memfail test_shard test_rseq"
# Each target, the same inputs each time: what is new is for whoever fuzzes longer. 20 s of a processor that it shares with
# another step. Installs what it needs itself.
step_fuzz() { FUZZ_SEED=1 make --no-print-directory fuzz TIME=30; }
# Alone: what fails most often, and builds what the others share. Then side by side, what takes longest first.
ALONE="test layers format"
BESIDE="clang vm asan builds mutants hostile model fuzz programs tsan bare fleet page long"

at() { # since the start
	local t=$(($(date +%s) - CI_STARTED))
	printf '%d:%02d' $((t / 60)) $((t % 60))
}
steps() { # one after another
	for step; do
		declare -F "step_$step" >/dev/null || { echo "ci: no step is called '$step'; there are: $ALONE $BESIDE" >&2; exit 2; }
	done
	# Not "step || ...": that would switch off set -e inside the step.
	trap 'echo "ci: step $step failed" >&2' EXIT
	for step; do
		printf '\n==== %s  (at %s)\n' "$step" "$(at)"
		TIMEFORMAT="---- $step took %0R s, and %0U + %0S s of processors"
		time "step_$step"
	done
	trap - EXIT
}
beside() { # what xargs calls for each of a lane: 255 has it begin no other
	local log=build/ci/$1.log status=0
	echo "ci: $1 begins at $(at)"
	tests/ci.sh "$1" >"$log" 2>&1 </dev/null || status=255
	flock build/ci/lock cat "$log"
	exit $status
}

case ${1:-} in
--list) echo "$ALONE $BESIDE"; exit 0 ;;
--beside) beside "$2" ;;
"")
	# shellcheck disable=SC2086
	steps $ALONE
	mkdir -p build/ci
	TEST_JOBS=2 MUTANT_JOBS=2 xargs -P 2 -n 1 tests/ci.sh --beside <<<"$BESIDE" || { echo "ci: a step failed, after $(at)" >&2; exit 1; }
	;;
*) steps "$@" ;;
esac
[ -n "$outermost" ] || printf '\n==== done in %s\n' "$(at)"
