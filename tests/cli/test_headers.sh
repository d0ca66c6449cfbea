#!/bin/sh
# The public headers, include/spanmark/: each compiles alone, as C17 and as C++20, without a warning; the example that each
# opens with compiles in both languages and runs, and so does the program in docs/API.md; they include nothing but each
# other; the libraries export what they declare and no more; each call of the collector has its line in the table of moments.
#
#   tests/cli/test_headers.sh BUILD_DIR
set -eu
build=${1:?usage: test_headers.sh BUILD_DIR}
case ${build##*/} in
*-gcc) ;;
*) echo "SKIP: headers are checked in the plain gcc build only"; exit 77 ;;
esac
case $build in /*) ;; *) build=$PWD/$build ;; esac
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fails=0
fail() { echo "FAIL $*"; fails=$((fails + 1)); }
have() { command -v "$1" >/dev/null; }

have g++ || { echo "SKIP: no g++"; exit 77; }
strict="-Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only"
tried=0
for h in include/spanmark/*.h; do
	name=${h##*/}
	printf '#include "spanmark/%s"\n' "$name" | tee "$tmp/alone.c" >"$tmp/alone.cc"
	for cc in gcc clang; do
		have $cc || continue
		$cc -std=c17 -Wstrict-prototypes $strict "$tmp/alone.c" || fail "$name does not compile alone as C17 with $cc"
	done
	for cxx in g++ clang++; do
		have $cxx || continue
		$cxx -std=c++20 $strict "$tmp/alone.cc" || fail "$name does not compile alone as C++20 with $cxx"
	done
	grep -E '^#[[:space:]]*include' "$h" | grep -vE '<|"spanmark/[a-z]*\.h"' && fail "$name includes what is not installed"

	# The example: the indented lines behind " * Example:" in the opening comment.
	awk '/^ \*\// { exit } on && /^ \*     / { print substr($0, 8) } / \* Example:$/ { on = 1 }' "$h" >"$tmp/example"
	n=$(grep -cvE '^#include|^[[:space:]]*$' "$tmp/example" || true)
	[ "$n" -ge 5 ] && [ "$n" -le 12 ] || fail "$name opens with an example of $n lines"
	{
		grep '^#include' "$tmp/example" || true
		printf '#include <stdio.h>\nint main()\n{\n'
		grep -v '^#include' "$tmp/example" || true
		printf '\treturn 0;\n}\n'
	} >"$tmp/example.cc"
	sed 's/^int main()$/int main(void)/' "$tmp/example.cc" >"$tmp/example.c"
	if gcc -std=gnu17 -Wall -Wextra -Wno-unused-result -Werror -Iinclude -o "$tmp/c" "$tmp/example.c" "$build/libspanmark.a" -lm -pthread &&
		g++ -std=c++20 -Wall -Wextra -Wno-unused-result -Werror -Iinclude -o "$tmp/cc" "$tmp/example.cc" "$build/libspanmark.a" -lm -pthread; then
		for prog in c cc; do
			timeout 300 "$tmp/$prog" >"$tmp/out" 2>&1 || { cat "$tmp/out"; fail "the example of $name ($prog) ends with an error"; }
			tried=$((tried + 1))
		done
	else
		fail "the example of $name does not compile"
	fi
done

# The guide's blocks of C are one program.
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' docs/API.md >"$tmp/guide.c"
if gcc -std=gnu17 -Wall -Wextra -Werror -Iinclude -o "$tmp/guide" "$tmp/guide.c" "$build/libspanmark.a" -lm -pthread; then
	timeout 300 "$tmp/guide" >"$tmp/out" 2>&1 || fail "the program of docs/API.md ends with an error"
	grep -q '1 objects closed, the weak reference is dead$' "$tmp/out" || { cat "$tmp/out"; fail "the program of docs/API.md lies"; }
else
	fail "the program of docs/API.md does not compile"
fi

# The table of moments (tests/collector/test_moments_table.c) makes each call of the collector: one that is declared has its
# line there. Names in _slow are halves of another call. That each function there has its line is the compiler's to say.
awk '/^SM_(API|INLINE)/ { on = 1 } on { printf "%s ", $0 } on && /[;{]/ { on = 0; print "" }' \
	include/spanmark/gc.h include/spanmark/heap.h |
	sed -E 's/^[^(]*\b(sm_[a-z0-9_]+)\(.*/\1/' | grep -vE '_slow$|_config_|^sm_heap_check$' | sort -u >"$tmp/calls"
awk '/^static void call_/ { on = 1 } on { print } /^}/ { on = 0 }' tests/support/moment_calls*.h |
	grep -oE '\bsm_[a-z0-9_]+\(' | tr -d '(' | sort -u >"$tmp/lines"
[ "$(wc -l <"$tmp/calls")" -ge 60 ] || fail "only $(wc -l <"$tmp/calls") calls of the collector found"
for name in $(comm -23 "$tmp/calls" "$tmp/lines"); do fail "$name has no line in the table of moments"; done

# What the library exports is declared in a public header, and the reverse; two underscores stand in inline.h alone.
nm -D --defined-only "$build"/libspanmark.so.* | awk '$3 !~ /^_/ { print $3 }' | sort -u >"$tmp/exported"
awk '/^(extern )?SM_API/ { on = 1 } on { printf "%s ", $0 } on && /;/ { on = 0; print "" }' include/spanmark/*.h |
	sed -E 's/^[^[(]*(sm_[a-z0-9_]+)[[(].*/\1/' | sort -u >"$tmp/declared"
for name in $(comm -23 "$tmp/exported" "$tmp/declared"); do fail "$name is exported but in no public header"; done
for name in $(comm -13 "$tmp/exported" "$tmp/declared"); do fail "$name is declared but not exported"; done
[ "$(grep -c '^sm__' "$tmp/exported")" -le 8 ] || fail "more than 8 exported names with two underscores"
for name in $(grep '^sm__' "$tmp/exported"); do
	grep -qw "$name" include/spanmark/inline.h || fail "$name is exported and not of inline.h"
done

# The preloaded library exports malloc's interface alone: whatever else it did would come before the program's own.
nm -D --defined-only "$build/libspanmark-malloc.so" | awk '{ print $3 }' | sort -u >"$tmp/malloc"
grep -vxE '(malloc|free|calloc|realloc|reallocarray|(aligned_|c|p?v|mem|posix_mem)(alloc|align|free)|malloc_(usable_size|trim)|mallopt|mallinfo2?|__libc_(malloc|free|calloc|realloc|memalign|p?valloc)|__posix_memalign|dlopen|_Zn[wa].*|_Zd[la].*)(@@.*)?' \
	"$tmp/malloc" && fail "libspanmark-malloc.so exports the above"
for name in malloc free calloc realloc aligned_alloc posix_memalign malloc_usable_size _ZdlPvm; do
	grep -qx "$name" "$tmp/malloc" || fail "libspanmark-malloc.so does not export $name"
done
# Every process that loads it holds its pages: what no call of malloc's reaches is not linked.
nm "$build/libspanmark-malloc.so" | grep -E ' t (sm__marks_gather|sm_heap_stats_json)$' && fail "libspanmark-malloc.so holds the above"

[ "$fails" = 0 ] || exit 1
echo "$(ls include/spanmark/*.h | wc -l) headers alone, $tried examples, $(wc -l <"$tmp/exported") exported names"
