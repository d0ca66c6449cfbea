#!/bin/sh
# Options and commands are told in four places: the table that the command parses (and --help prints), the manual page and the
# completions of bash and zsh. They must name the same.
#
#   tests/cli/test_docs.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"

same() { # same WHAT A B
	if ! cmp -s "$2" "$3"; then
		echo "FAIL $1 (< the command, > the document):"
		diff "$2" "$3"
		fails=1
	fi
}
# Long and short options of run, as --help prints them: "  -w, --workload NAME" in the first columns.
"$cmd" run --help | sed -n 's/^  \(-[a-zA-Z],\)\{0,1\} *\(--[a-z-]*\).*/\1 \2/p' | tr ' ' '\n' | tr -d , | grep . | sort -u >"$tmp/help"
[ "$(wc -l <"$tmp/help")" -gt 30 ] || { echo "FAIL only $(wc -l <"$tmp/help") options in --help"; fails=1; }

sed -n '/^\.SH OPTIONS OF RUN/,/^\.SH EXIT STATUS/p' "$root/docs/spanmark.1" | grep -A1 '^\.TP' | grep '^\.B' |
	sed 's/\\-/-/g; s/"[^"]*"/ /g; s/\\fI[A-Z0-9]*\\fR//g' | tr ' ,' '\n\n' | grep '^-' | sort -u >"$tmp/man"
same "options of run in docs/spanmark.1" "$tmp/help" "$tmp/man"

sed -n '/compgen -W "-w/,/" -- "\$cur"/p' "$root/docs/completions/spanmark.bash" | tr ' \t"' '\n\n\n' | grep -E '^-[-a-zA-Z]' | grep -vxE -- '-W|--' | sort -u >"$tmp/bash"
same "options of run in the completion" "$tmp/help" "$tmp/bash"

# zsh: every '--option[..]' and {-o,--option} of _spanmark_run.
sed -n '/^_spanmark_run()/,/^}/p' "$root/docs/completions/_spanmark" | sed -n "s/.*{\(-[a-zA-Z]\),\(--[a-z-]*\)}.*/\1 \2/p; s/.*'\**\(--[a-z-]*\)\[.*/\1/p" |
	tr ' ' '\n' | sort -u >"$tmp/zsh"
same "options of run in the zsh completion" "$tmp/help" "$tmp/zsh"
for c in topo events doctor heap compare lbo; do
	"$cmd" $c --help | sed -n 's/^  \(-[a-z], \)\?\(--[a-z-]*\).*/\1\2/p' | tr -d , | tr ' ' '\n' | sort -u >"$tmp/help"
	sed -n "/^_spanmark_$c()/,/^}/p" "$root/docs/completions/_spanmark" | sed -n "s/.*{\(-[a-zA-Z]\),\(--[a-z-]*\)}.*/\1 \2/p; s/.*'\(--[a-z-]*\)\[.*/\1/p" | tr ' ' '\n' | grep -v -- --help | sort -u >"$tmp/zsh"
	same "options of $c in the zsh completion" "$tmp/help" "$tmp/zsh"
done

# Words that an option takes are completed: each alternative in --help occurs in the completion.
for word in $("$cmd" run --help | sed -n 's/^ \{32\}\([a-z0-9|-]*\)$/\1/p' | tr '|' ' '); do
	for f in spanmark.bash _spanmark; do
		grep -q "[\" (]$word[\" )']" "$root/docs/completions/$f" || { echo "FAIL '$word' is not completed by $f"; fails=1; }
	done
done

# Commands.
"$cmd" --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' | grep -v spanmark | grep . | sort -u >"$tmp/commands"
sed -n '/^\.SH COMMANDS/,/^\.SH OPTIONS/p' "$root/docs/spanmark.1" | sed -n 's/^\.B \([a-z]*\)$/\1/p' | sort -u >"$tmp/man"
same "commands in docs/spanmark.1" "$tmp/commands" "$tmp/man"
sed -n 's/.*compgen -W "\(run list[a-z ]*\).*/\1/p' "$root/docs/completions/spanmark.bash" | tr ' ' '\n' | grep . | sort -u >"$tmp/bash"
same "commands in the completion" "$tmp/commands" "$tmp/bash"

# The version is the same everywhere.
version=$("$cmd" --version | cut -d' ' -f2)
grep -q "spanmark $version\"" "$root/docs/spanmark.1" || { echo "FAIL docs/spanmark.1 is not of version $version"; fails=1; }

# The completions work in their shells.
if command -v bash >/dev/null; then
	got=$(cd "$tmp" && PATH=$(dirname "$cmd"):$PATH bash -c '
		. "'"$root"'/docs/completions/spanmark.bash"
		try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _spanmark; echo "${COMPREPLY[*]}"; }
		try spanmark ru; try spanmark run -w gra; try spanmark run --fo; try spanmark run --place com' 2>&1)
	want=$(printf 'run\ngraph\n--format\ncompact')
	[ "$got" = "$want" ] || { printf 'FAIL completion gave:\n%s\n' "$got"; fails=1; }
fi
if command -v zsh >/dev/null; then
	got=$(cd "$tmp" && timeout 300 zsh -f "$root/tests/support/complete.zsh" "$root/docs/completions" "$(dirname "$cmd")" \
		"spanmark ru" "spanmark run -w churn,gra" "spanmark run --fo" "spanmark run --mark-place ded" "spanmark run --set gc.mod" \
		"spanmark run -C cac" "spanmark run -p dep" "spanmark topo --syn" "spanmark list sett" 2>&1 | sed 's/ $//')
	want=$(printf '%s\n' "spanmark run" "spanmark run -w churn,graph," "spanmark run --format" "spanmark run --mark-place dedicated," \
		"spanmark run --set gc.mode=" "spanmark run -C cache," "spanmark run -p depth=" "spanmark topo --synthetic" "spanmark list settings")
	[ "$got" = "$want" ] || { printf 'FAIL zsh completion gave:\n%s\n' "$got"; fails=1; }
else
	echo "SKIP completion in zsh: no zsh"
fi
# groff finds nothing to complain about
if command -v groff >/dev/null; then
	warnings=$(groff -man -Tascii -ww "$root/docs/spanmark.1" 2>&1 >/dev/null)
	[ -z "$warnings" ] || { echo "FAIL groff: $warnings"; fails=1; }
else
	echo "SKIP the manual page: no groff"
fi
[ "$fails" = 0 ] && echo "docs: the same options everywhere"
exit "$fails"
