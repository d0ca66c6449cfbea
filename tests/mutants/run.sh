#!/usr/bin/env bash
# Plants each bug of mutants.tsv and runs what must find it. A crash, an abort, a failed check or a hang within the
# limit counts as killed; a mutant that lives, or whose patch no longer applies, fails the suite.
#
#   tests/mutants/run.sh [--third N] [NAME ...]      all, those of every third line (N modulo 3), or those of that number or
#                                                     name: 07, 07-one-stack
#
# A mutant is tests/mutants/NAME.patch (git diff > tests/mutants/NN-what.patch makes one). It is applied to a copy of the
# sources beside what the tree has built of them, and made there by the Makefile: so its flags are the tree's, and only what
# the patch touches is compiled again. MUTANT_JOBS: at a time (2). MUTANT_SECONDS: how long each killer may look (6).
# What lives is looked for once more, alone and with other seeds: beside a second mutant a race may not come up in time.
# Ends with the lines of what is alive and "N killed, N alive". What lives, or does not build, is left in build/mutants/NAME.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/mutants
out=build/mutants
seconds=${MUTANT_SECONDS:-6}
make="make -s --no-print-directory ${CC:+CC=$CC}"

# A copy of what the killers are made of, with the patch in it. What is built is the tree's own by another name: the
# compiler, the assembler and make put a new file in the place of an old one, and write into none (but for the .d files).
plant() { # NAME
	local dir=$out/$1
	rm -rf "$dir"
	mkdir -p "$dir"
	tar -c -T "$out/sources" | tar -x -C "$dir"
	xargs -0 cp -l --parents -t "$dir" <"$out/objects"
	patch -d "$dir" -p1 -F 3 -s --no-backup-if-mismatch -r - <"$here/$1.patch"
}

# The first case that failed, or how the program ended.
how_it_died() { # STATUS LOG
	sed -n 's/^[^ ]*:[0-9]*:[FE]:[^:]*:\([^:]*\):.*/\1/p' "$2" | head -n 1 | grep . ||
		case $1 in 124 | 137) echo "still running" ;; *) echo "status $1" ;; esac
}

kill_one() { # NAME WHAT KILLERS CONFIG
	local name=$1 killer prog arg only status try tries limit seed
	if ! plant "$name" >"$out/$name.log" 2>&1; then
		printf 'ALIVE    %-26s %s: the patch does not apply\n' "$name" "$2"
		return
	fi
	seed=$((10#${name%%-*} * 1000 + look * 100))
	for killer in $3; do
		case $killer in
		model/*)
			if tests/model/run.sh "${killer#model/}" >"$out/$name.model" 2>&1; then
				printf 'killed   %-26s by %s\n' "$name" "$killer"
				rm -rf "${out:?}/$name"
				return
			fi
			continue
			;;
		esac
		prog=${killer%%:*}
		arg=""
		case $killer in *:*) arg=${killer#*:} ;; esac
		if ! $make -C "$out/$name" "$tree/tests/$prog" >>"$out/$name.log" 2>&1; then
			printf 'ALIVE    %-26s %s: does not build\n' "$name" "$2"
			return
		fi
		# A stress test takes its scenario as an argument, a unit test the one case that is to fail. What stops a cycle
		# between its handshakes, or races with no thread, finds it the first time or never.
		only="" tries="1 2 3 4" limit=$((seconds * 3 + 20))
		case $prog in test_*) only=$arg arg="" tries="1 2" limit=150 ;; esac
		[ -z "$only" ] || tries=1
		for try in $tries; do
			status=0
			# shellcheck disable=SC2086
			{ env ${only:+SM_TEST_CASE=$only} SM_TEST_FIRST=1 SM_TEST_CONFIG=${4:-gc.fifo=16} SM_TEST_SEED=$((seed + try)) \
				SM_TEST_SECONDS=$seconds timeout -k 5 $limit "$out/$name/$tree/tests/$prog" $arg \
				>"$out/$name.run" 2>&1 </dev/null; } 2>/dev/null || status=$?
			if [ $status != 0 ] && [ $status != 77 ]; then
				printf 'killed   %-26s by %s (%s)\n' "$name" "$killer" "$(how_it_died "$status" "$out/$name.run")"
				rm -rf "${out:?}/$name"
				return
			fi
		done
	done
	printf 'ALIVE    %-26s %s: survived %s\n' "$name" "$2" "$3"
}

tree=$($make print-build)
export tree
look=0
if [ "${1:-}" = --again ]; then
	look=1
	shift
fi
if [ "${1:-}" = --one ]; then
	IFS=$'\t' read -r name what killers config <<<"$2"
	kill_one "$name" "$what" "$killers" "$config"
	exit 0
fi

third=""
if [ "${1:-}" = --third ]; then
	third=$(($2 % 3))
	shift 2
fi

chosen() { # LINE-NUMBER NAME [WANTED ...]
	local i=$1 name=$2 want
	shift 2
	[ -z "$third" ] || [ $((i % 3)) = "$third" ] || return 1
	[ $# -gt 0 ] || return 0
	for want in "$@"; do case $name in "$want" | "$want"-*) return 0 ;; esac done
	return 1
}

tests/setup/deps.sh test
# Each patch has its line, and each line its patch.
diff <(grep -v '^#' "$here/mutants.tsv" | cut -f1 | sort) <(cd "$here" && ls ./*.patch | sed 's,^\./,,; s,\.patch$,,' | sort) ||
	{ echo "mutants: patches and mutants.tsv differ" >&2; exit 1; }
# What kills mutants must pass without them: these are the tests of the ordinary run.
# shellcheck disable=SC2046
$make -j2 $(grep -v '^#' "$here/mutants.tsv" | cut -f3 | tr ' ' '\n' |
	grep -v '^model/' | cut -d: -f1 | sort -u | sed "s|^|$tree/tests/|")
mkdir -p "$out"
{
	tests/files.sh tracked Makefile allocator collector include perf workloads harness tests | grep -v "^$here/.*patch"
	find "$tree" -path "$tree/pic" -prune -o \( -name '*.d' -o -name flags \) -print
} >"$out/sources"
find "$tree" -path "$tree/pic" -prune -o \( -name '*.o' -o -name '*.a' \) -print0 >"$out/objects"
i=0
while IFS= read -r line; do
	case $line in '' | \#*) continue ;; esac
	i=$((i + 1))
	chosen $i "${line%%$'\t'*}" "$@" || continue
	printf '%s\0' "$line"
done <"$here/mutants.tsv" | xargs -0 -P "${MUTANT_JOBS:-2}" -n 1 "$here/run.sh" --one | tee "$out/report"
sed -n 's/^ALIVE *\([^ ]*\) .*/\1/p' "$out/report" | while IFS= read -r name; do
	line=$(grep "^$name"$'\t' "$here/mutants.tsv")
	"$here/run.sh" --again --one "$line" | sed 's/^killed /killed late /'
done | tee "$out/again"
killed=$(cat "$out/report" "$out/again" | grep -c '^killed' || true)
alive=$(grep -c '^ALIVE' "$out/again" || true)
echo "$killed killed, $alive alive"
[ "$alive" = 0 ] && [ "$killed" -gt 0 ]
