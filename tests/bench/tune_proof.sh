#!/usr/bin/env bash
# make tune-proof: is a tuning worth anything here? For three workloads and a real program: spanmark tune, then what it
# recommends against the default once more, on samples that the search never saw. Prints one line each, whatever it is.
#
#   tests/bench/tune_proof.sh BUILD_DIR [BUDGET]      each of the four within about BUDGET (4m)
set -euo pipefail
cd "$(dirname "$0")/../.."
cmd=$PWD/$1/spanmark
budget=${2:-4m}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Sorts and joins words as a log processor does: many strings, of all sizes, in a tree of hashes.
cat >"$work/words.pl" <<'PL'
my (%count, @line);
srand(7);
for my $i (1 .. 60000) {
	my $word = join "", map { chr(97 + int(rand(6))) } 1 .. 3 + int(rand(9));
	push @{$count{length $word}{$word}}, $i;
	push @line, "$word " x (1 + $i % 7);
	splice @line, int(rand(@line)), 1 if @line > 4000;
}
print join(" ", map { $_ . ":" . keys %{$count{$_}} } sort { $a <=> $b } keys %count), "\n";
PL

prove() { # NAME ARGUMENT..
	local name=$1
	shift
	"$cmd" tune "$@" --budget "$budget" --store "$work/proof.db" -o "$work/$name.ini" -f json >"$work/$name.json" 2>"$work/err" ||
		{ echo "$name: tune failed: $(tail -n 1 "$work/err")"; return; }
	python3 - "$work/$name.json" "$name" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
c = d["confirmed"]
print(f"{sys.argv[2]} ({d['backend']}, {d['objective']}): {d['why']}")
if c:
    print(f"    {d['settings']}")
    if c["low"] is not None:
        print(f"    ratio {c['ratio']:.4f} ({c['low']:.4f}..{c['high']:.4f}, {c['pairs']} pairs), peak RSS {c['rss_ratio'] or float('nan'):.3f}")
PY
	[ -s "$work/$name.ini" ] || return 0
	"$cmd" tune --check "$work/$name.ini" --budget "$budget" --store "$work/proof.db" >/dev/null 2>"$work/err" || true
	sed -n "s#^.*ini \(.*\)#    again: \1#p" "$work/err" | tail -n 1
}

prove larson -w larson -t 2 -b span
prove binary-trees -w binary-trees -b gc
prove lru-cache -w lru-cache -b gc
prove perl --program "perl $work/words.pl" -b libc
