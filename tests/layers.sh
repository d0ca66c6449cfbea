#!/bin/sh
# Fails on an include that points up the floor plan (docs/ARCHITECTURE.md: arrows point down only), and on a crowded room.
#
#   tests/layers.sh [ROOT]
#
# An include of ours is root-relative, so its first folder names the layer it reaches for. The public headers are
# the door, include/spanmark/, and are included as "spanmark/NAME.h" by every folder, as a program does. Inside
# allocator/ the second folder names the room, whose arrows point down likewise, and which holds 20 files at most.
set -eu
root=${1:-$(dirname "$0")/..}
cd "$root"

# What each folder may include, besides the system's headers.
allowed() {
	case $1 in
	include) echo "spanmark" ;;
	allocator) echo "allocator spanmark" ;;
	collector) echo "collector allocator spanmark" ;;
	perf) echo "perf" ;;
	workloads) echo "workloads collector allocator perf spanmark" ;;
	harness) echo "harness workloads collector allocator perf spanmark" ;;
	tests) echo "tests harness workloads collector allocator perf spanmark" ;;
	esac
}

# The same of a room: rooms, and public headers whose contents are known there.
room_allowed() {
	case $1 in
	base) echo "base heap.h inline.h" ;;
	os) echo "os base heap.h stack.h" ;;
	pages) echo "pages os base heap.h" ;;
	objects) echo "objects pages os base heap.h inline.h stack.h" ;;
	stats) echo "stats objects pages os base heap.h" ;;
	malloc) echo "malloc stats objects pages os base heap.h malloc.h" ;;
	esac
}

# Every include of ours under a folder, as "FILE:LINE TARGET".
includes() {
	[ -d "$1" ] || return 0
	find "$1" -type f \( -name '*.[chS]' -o -name '*.def' -o -name '*.inc' \) -exec \
		grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' {} + |
		sed -E 's/^([^:]*:[0-9]*):.*include[[:space:]]*"([^"]*)".*/\1 \2/'
}

found=$(for layer in include allocator collector perf workloads harness tests; do
	may=" $(allowed "$layer") "
	includes "$layer" | while read -r place target; do
		case $target in
		*/*) folder=${target%%/*} ;;
		*) folder="" ;;
		esac
		case $folder in
		"" | . | ..) echo "$place: \"$target\" is not relative to the root" ;;
		*) case $may in
			*" $folder "*) ;;
			*) echo "$place: $layer/ may not include \"$target\" (it may use:$may)" ;;
			esac ;;
		esac
	done
done
for room in base os pages objects stats malloc; do
	may=" $(room_allowed "$room") "
	includes "allocator/$room" | while read -r place target; do
		case $target in
		allocator/*/*) below=${target#allocator/} && below=${below%%/*} ;;
		spanmark/*) below=${target#spanmark/} ;;
		*) continue ;; # refused above
		esac
		case $may in
		*" $below "*) ;;
		*) echo "$place: allocator/$room/ may not include \"$target\" (it may use:$may)" ;;
		esac
	done
done
# A room that outgrows 20 files wants another wall.
for room in base os pages objects stats malloc; do
	[ -d "allocator/$room" ] || continue
	files=$(find "allocator/$room" -maxdepth 1 -type f | wc -l)
	[ "$files" -le 20 ] || echo "allocator/$room: $files files, at most 20"
done)

if [ -n "$found" ]; then
	printf '%s\n' "$found" >&2
	echo "layers: $(printf '%s\n' "$found" | wc -l) fault(s) against the floor plan" >&2
	exit 1
fi
echo "layers: every include points down"
