#!/usr/bin/env bash
# Checks the Promela models of tests/model/cases.tsv with spin: what must hold holds in every state within the
# bounds, and every planted bug is found.
#
#   tests/model/run.sh [--long] [NAME ...]      all cases, or only those whose name contains a NAME
#
# Ends with "N passed, N failed"; status 1 when something failed. MODEL_JOBS: cases at a time (2).
# MODEL_MEMORY: MB for each (4000). A failing case leaves its directory in build/model/NAME for `spin -t -p`.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/model
out=build/model

check_one() { # MODEL NAME EXPECT FLAGS
	local dir=$out/$2 flags=$4 ends=-E opt=-O1 result status=0
	[ "$flags" = - ] && flags=""
	# Only the handshake's model has no thread that may be stuck at the end.
	[ "$1" = handshake ] && ends=""
	# What ends at the first error is compiled for longer than it runs.
	[ "$3" = fail ] && opt=-O0
	rm -rf "$dir"
	mkdir -p "$dir"
	cp "$here/$1.pml" "$dir/model.pml"
	# shellcheck disable=SC2086
	(cd "$dir" && spin -a $flags model.pml && gcc $opt -w -DSAFETY -DNOFAIR -DMEMLIM="${MODEL_MEMORY:-4000}" -o pan pan.c) \
		>"$dir/log" 2>&1 || { echo "failed   $2: does not build: $(tail -n 1 "$dir/log")"; return; }
	(cd "$dir" && timeout "${MODEL_TIMEOUT:-600}" ./pan $ends -m1000000 -w23) >>"$dir/log" 2>&1 || status=$?
	# Complete: the search ended by itself, at no limit of depth or memory.
	result=incomplete
	if grep -q 'errors: 0' "$dir/log"; then result=pass; fi
	if grep -Eq 'errors: [1-9]' "$dir/log"; then result=fail; fi
	if grep -Eq 'max search depth too small|Search not completed' "$dir/log" && [ $result = pass ]; then result=incomplete; fi
	[ $status = 0 ] || result=incomplete
	local states
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$dir/log")
	local want=$3
	[ "$want" = long ] && want=pass
	if [ "$result" = "$want" ]; then
		printf 'ok       %-20s %9s states   %s\n' "$2" "$states" "$5"
		rm -rf "$dir"
	else
		printf 'failed   %-20s %9s states   %s: should %s, but: %s\n' "$2" "$states" "$5" "$want" "$result"
	fi
}

if [ "${1:-}" = --one ]; then
	IFS=$'\t' read -r model name expect flags what <<<"$2"
	check_one "$model" "$name" "$expect" "$flags" "$what"
	exit 0
fi

tests/setup/deps.sh model
long=no
if [ "${1:-}" = --long ]; then
	long=yes
	shift
fi
mkdir -p "$out"
report=$out/report
while IFS= read -r line; do
	case $line in '' | \#*) continue ;; esac
	IFS=$'\t' read -r _ name expect _ _ <<<"$line"
	[ "$expect" != long ] || [ $long = yes ] || continue
	if [ $# -gt 0 ]; then
		hit=no
		for want in "$@"; do case $name in *"$want"*) hit=yes ;; esac; done
		[ $hit = yes ] || continue
	fi
	printf '%s\0' "$line"
done <"$here/cases.tsv" | xargs -0 -P "${MODEL_JOBS:-2}" -n 1 "$here/run.sh" --one | tee "$report"
passed=$(grep -c '^ok' "$report" || true)
failed=$(grep -c '^failed' "$report" || true)
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
