#!/bin/sh
# The manual pages and what Tab completes are made from the tables of options: they are there for every command, name each
# option, are sound in the eyes of groff and mandoc, and each shell completes what it should.
#
#   tests/cli/test_docs.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
PATH=$build:$PATH

# ---- the manual ------------------------------------------------------------------------------------
mkdir man
expect 0 "$cmd" help --manual man
commands=$("$cmd" help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' | grep -v spanmark)
[ "$(echo "$commands" | wc -l)" -ge 8 ] || bad "commands: $commands"
for c in $commands; do
	page=man/spanmark-$c.1
	[ -s "$page" ] || { bad "$page is not there"; continue; }
	for heading in NAME SYNOPSIS DESCRIPTION OPTIONS EXAMPLES "EXIT STATUS" "SEE ALSO"; do
		grep -qE "^\.SH \"?$heading\"?$" "$page" || bad "$page has no $heading"
	done
	"$cmd" "$c" --help >help || bad "$c --help"
	"$cmd" help "$c" | cmp -s - help || bad "help $c is not $c --help"
	# what cannot be printed is status 1 of them all (main.c)
	sed -n '/^Exit status:/,$p' help | grep -q '^  1  ' || bad "$c --help does not say what status 1 is"
	options=$(sed -n 's/^  \(-[a-zA-Z],\)\{0,1\} *\(--[a-z-]*\).*/\2/p' help)
	for o in $options; do
		grep -qF -- "\\-\\-$(echo "${o#--}" | sed 's/-/\\-/g')\\fR" "$page" || bad "$page lacks $o"
		"$cmd" --complete "$c" "$o" | cut -f1 | grep -qx -- "$o" || bad "$c $o is not completed"
	done
	# what Tab offers behind a dash is what --help names
	[ "$("$cmd" --complete "$c" -- | grep -c '^--')" = "$(echo "$options" | wc -l)" ] || bad "$c: other options than in --help"
	grep -qF "spanmark\\-$c (1)" man/spanmark.1 || bad "man/spanmark.1 does not name $c"
done
[ "$("$cmd" run --help | grep -c '^  .*--[a-z]')" -gt 30 ] || bad "few options in run --help"
version=$("$cmd" --version | cut -d' ' -f2)
for page in man/*.1; do
	grep -q "spanmark $version\"" "$page" || bad "$page is not of version $version"
	if command -v groff >/dev/null; then
		warnings=$(groff -man -Tascii -ww "$page" 2>&1 >/dev/null)
		[ -z "$warnings" ] || bad "groff: $page: $warnings"
	fi
	if command -v mandoc >/dev/null; then
		warnings=$(mandoc -Tlint -Wwarning "$page" 2>&1)
		[ -z "$warnings" ] || bad "mandoc: $warnings"
	fi
done
command -v groff >/dev/null || echo "SKIP the manual pages in groff: not installed"
command -v mandoc >/dev/null || echo "SKIP the manual pages in mandoc: not installed"
expect 2 "$cmd" help --manual man/nowhere; says "man/nowhere/spanmark.1: No such file" err

# ---- what Tab completes ----------------------------------------------------------------------------
completes() { # completes WANT WORD..: the candidates' names, and how to go on
	want=$1
	shift
	got=$("$cmd" --complete "$@" | cut -f1 | tr '\n' ' ')
	[ "$got" = "$want" ] || bad "after '$*': '$got' instead of '$want'"
}
completes "run runs " ru
completes "--help " --h
completes "heap " help hea
completes "churn,graph :list " run -w churn,gra
completes "--format=table " run --format=t
completes "auto pmu sw sim none " run -c ""
completes "preload: :list " run -b pre
completes ":files " run -o ""
completes ":files " heap ""
completes ":commands " run --program ""
completes "" run -n ""
completes "" nonsense ""
completes "" delete ""
"$cmd" run -w churn -p ops=1000 --reps 1 --counters none >/dev/null 2>&1 || bad "a run"
completes "1 " delete ""
completes "" run --resume=
for topic in workloads params settings sets backends; do # every name is one that `list` tells of
	case $topic in
	workloads) option=-w ;; params) option=-p ;; settings) option=-s ;; sets) option=-C ;; backends) option=-b ;;
	esac
	"$cmd" list >list
	"$cmd" --complete run $option "" | cut -f1 | grep -v '^:' >names
	[ "$(wc -l <names)" -ge 6 ] || bad "$option completes $(cat names)"
	while read -r name; do
		grep -qF "$name" list || case $topic:$name in settings:* | backends:preload:) ;; *) bad "$option $name is in no list" ;; esac
	done <names
done
sort names | uniq -d | grep . && bad "names twice"

# ---- in their shells -------------------------------------------------------------------------------
same() { # same SHELL: got and want
	[ "$got" = "$want" ] || { bad "$1 completes:"; printf '%s\n' "$got"; }
}
: >READ.jsonl
if command -v bash >/dev/null; then
	got=$(bash -c '
		. "'"$root"'/docs/completions/spanmark.bash"
		compopt() { went=" $*"; }
		try() { COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=() went=; _spanmark; echo "${COMPREPLY[*]}$went"; }
		complete -p spanmark
		try "spanmark ru"; try "spanmark run -w gra"; try "spanmark run --fo"; try "spanmark run --place com"
		try "spanmark run --format=j"; try "spanmark run -p dep"; try "spanmark heap "' 2>&1)
	want=$(printf '%s\n' "complete -F _spanmark spanmark" "run runs" graph --format compact json "depth= -o nospace" " -o default")
	same bash
else
	echo "SKIP completion in bash: not installed"
fi
if command -v zsh >/dev/null; then
	got=$(timeout 300 zsh -f "$root/tests/support/complete.zsh" "$root/docs/completions" "$build" \
		"spanmark comp" "spanmark run -w churn,gra" "spanmark run --fo" "spanmark run --mark-place ded" "spanmark run --set gc.mod" \
		"spanmark run -C cac" "spanmark run -p dep" "spanmark topo --syn" "spanmark list sett" "spanmark heap REA" 2>&1 | sed 's/ $//')
	want=$(printf '%s\n' "spanmark compare" "spanmark run -w churn,graph," "spanmark run --format" "spanmark run --mark-place dedicated," \
		"spanmark run --set gc.mode=" "spanmark run -C cache," "spanmark run -p depth=" "spanmark topo --synthetic" "spanmark list settings" \
		"spanmark heap READ.jsonl")
	same zsh
else
	echo "SKIP completion in zsh: not installed"
fi
if command -v fish >/dev/null; then
	got=$(HOME=$tmp timeout 300 fish --no-config -c 'source '"$root"'/docs/completions/spanmark.fish
		for line in "spanmark comp" "spanmark run -w churn,gra" "spanmark run --fo" "spanmark run -p dep" "spanmark heap REA"
			complete -C $line
		end' 2>&1 | cut -f1)
	want=$(printf '%s\n' compare churn,graph --format depth= READ.jsonl)
	same fish
else
	echo "SKIP completion in fish: not installed"
fi
finish
