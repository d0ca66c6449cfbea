#!/usr/bin/env bash
# Plants each bug of mutants.tsv and runs what must find it. A crash, an abort, a failed check or a hang within the
# limit counts as killed; a mutant that lives fails the suite.
#
#   tests/mutants/run.sh [NUMBER ...]
#
# Only the files that mention a mutant are compiled again, so that one costs seconds. MUTANT_JOBS: at a time (2).
# MUTANT_SECONDS: how long each killer may look (6). Ends with "N killed, N alive".
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/mutants
out=build/mutants
CC=${CC:-gcc}
seconds=${MUTANT_SECONDS:-6}

# Links PROGRAM with the mutated objects in front of the library's own.
build() { # NUMBER PROGRAM
	local n=$1 prog=$2 dir=$out/$1 files objs="" f
	mkdir -p "$dir"
	# Headers that mention it count for the files that include them.
	files=$(grep -lE "SM_IS_MUTANT\($n\)" allocator/*/*.c collector/*.c 2>/dev/null || true)
	if grep -qE "SM_IS_MUTANT\($n\)" collector/mark_internal.h 2>/dev/null; then
		files="$files $(grep -l 'collector/mark_internal.h' collector/*.c)"
	fi
	[ -n "${files// /}" ] || { echo "no file plants mutant $n" >&2; return 1; }
	for f in $files; do
		[ "$dir/$(basename "$f" .c).o" -nt "$f" ] ||
			$CC -Iinclude -I. -D_GNU_SOURCE -std=gnu17 -O2 -g -fno-strict-aliasing -fno-omit-frame-pointer \
				-DSM_VERSION='"mutant"' -DSM_MUTANT="$n" -w -c -o "$dir/$(basename "$f" .c).o" "$f"
		objs="$objs $dir/$(basename "$f" .c).o"
	done
	# shellcheck disable=SC2086
	$CC -pthread -o "$dir/$prog" "$tree"/tests/*/"$prog.o" "$tree/tests/support/stress.o" "$tree/tests/support/graph.o" \
		$objs "$tree/libspanmark.a" -lcheck -lsubunit -luring -lm -lrt
}

kill_one() { # NUMBER WHAT KILLERS CONFIG
	local n=$1 killer prog arg status try
	for killer in $3; do
		case $killer in
		model/*)
			if tests/model/run.sh "${killer#model/}" >"$out/$n.model" 2>&1; then
				printf 'killed   %2d  %-55s by %s\n' "$n" "$2" "$killer"
				return
			fi
			continue
			;;
		esac
		prog=${killer%%:*}
		arg=""
		case $killer in *:*) arg=${killer#*:} ;; esac
		build "$n" "$prog" || { printf 'ALIVE    %2d  %s: does not build\n' "$n" "$2"; return; }
		for try in 1 2 3 4; do
			status=0
			# shellcheck disable=SC2086
			{ SM_TEST_CONFIG=${4:-gc.fifo=16} SM_TEST_SEED=$((n * 1000 + try)) SM_TEST_SECONDS=$seconds timeout -k 5 $((seconds * 3 + 20)) \
				"$out/$n/$prog" $arg >"$out/$n/$prog.log" 2>&1 </dev/null; } 2>/dev/null || status=$?
			if [ $status != 0 ] && [ $status != 77 ]; then
				printf 'killed   %2d  %-55s by %s (try %d, status %d)\n' "$n" "$2" "$killer" "$try" "$status"
				return
			fi
		done
	done
	printf 'ALIVE    %2d  %s: survived %s\n' "$n" "$2" "$3"
}

tree=$(make -s print-build CC="$CC")
export tree
if [ "${1:-}" = --one ]; then
	IFS=$'\t' read -r n what killers config <<<"$2"
	kill_one "$n" "$what" "$killers" "$config"
	exit 0
fi

tests/setup/deps.sh test
# What kills mutants must pass without them: these are the tests of the ordinary run.
make -s --no-print-directory -j2 "$tree/libspanmark.a" $(grep -v '^#' "$here/mutants.tsv" | cut -f3 | tr ' ' '\n' |
	grep -v '^model/' | cut -d: -f1 | sort -u | sed "s|^|$tree/tests/|")
mkdir -p "$out"
while IFS= read -r line; do
	case $line in '' | \#*) continue ;; esac
	n=${line%%$'\t'*}
	if [ $# -gt 0 ]; then
		case " $* " in *" $n "*) ;; *) continue ;; esac
	fi
	printf '%s\0' "$line"
done <"$here/mutants.tsv" | xargs -0 -P "${MUTANT_JOBS:-2}" -n 1 "$here/run.sh" --one | tee "$out/report"
killed=$(grep -c '^killed' "$out/report" || true)
alive=$(grep -c '^ALIVE' "$out/report" || true)
echo "$killed killed, $alive alive"
[ "$alive" = 0 ] && [ "$killed" -gt 0 ]
