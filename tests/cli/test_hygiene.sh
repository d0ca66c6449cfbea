#!/bin/sh
# tests/hygiene.sh must accept the tree as it is, and name each kind of offence that is planted in a small one.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
command -v git >/dev/null 2>&1 && command -v python3 >/dev/null 2>&1 || { echo "SKIP: needs git and python3"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/tests/support" "$tmp/docs" "$tmp/collector"
cp "$here/support/hygiene.py" "$tmp/tests/support/"
cp "$here/files.sh" "$tmp/tests/"
git -C "$tmp" init -q
fails=0
long=$(printf 'word %.0s' $(seq 30))

# offends PATTERN: the tree as it stands is refused with a line that matches.
offends() {
	git -C "$tmp" add -A
	status=0
	"$here/hygiene.sh" "$tmp" >"$tmp/log" 2>&1 || status=$?
	if [ "$status" != 1 ] || ! grep -q "$1" "$tmp/log"; then
		echo "FAIL: no line '$1' (status $status)"; cat "$tmp/log"; fails=1
	fi
	rm -f "$tmp/log"
	git -C "$tmp" rm -rqf --ignore-unmatch docs collector data >/dev/null
	mkdir -p "$tmp/docs" "$tmp/collector"
}
printf 'ELF\0\0' >"$tmp/data"; offends '^data: a binary file is tracked'
head -c 300000 /dev/zero | tr '\0' 'x' >"$tmp/data"; offends '^data: 300000 bytes'
echo '#!/bin/sh' >"$tmp/data"; offends '^data: begins with #! and cannot be executed'
echo "$long" >"$tmp/docs/A.md"; offends '^docs/A.md:1: .* columns'
printf '/* %s */\n' "$long" >"$tmp/collector/a.c"; offends '^collector/a.c:1: a comment of'
printf 'int a;\n' >"$tmp/collector/a.c"; offends '^collector/a.c:1: the opening comment does not name the file'
echo 'See collector/gone.c for it.' >"$tmp/docs/A.md"; offends '^docs/A.md:1: there is no file collector/gone.c'
echo 'Call sm_gone() for it.' >"$tmp/docs/A.md"; offends '^docs/A.md:1: there is no sm_gone'
printf '/* a.c: as gone.h says. */\n' >"$tmp/collector/a.c"; offends '^collector/a.c:1: there is no file gone.h'
echo 'A page that README does not name.' >"$tmp/docs/A.md"; offends '^README.md does not name docs/A.md'
"$here/hygiene.sh" || fails=1
exit $fails
