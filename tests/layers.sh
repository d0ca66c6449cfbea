#!/bin/sh
# Fails on an include that points up the floor plan (docs/ARCHITECTURE.md: arrows point down only), and on a crowded room.
#
#   tests/layers.sh [ROOT]
#
# An include of ours is root-relative, so its first folder names the layer it reaches for. The public headers are
# the door, include/spanmark/, and are included as "spanmark/NAME.h" by every folder, as a program does. Inside
# allocator/, collector/ and harness/ the second folder names the room, whose arrows point down likewise, and which holds
# 20 files at most. Of the collector's rooms that is so for headers: its .c files, and NAME_internal.h, which they alone
# include, know the collector as a whole (collector/cycle/gc_internal.h).
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

# Rooms, each of which may use itself and what stands before it.
allocator_rooms="base os pages objects stats malloc"
collector_rooms="types mark span mutator roots compact generations cycle"
harness_rooms="base judge search options machine heap process mallocs program plan store report compare page run tune command"
rooms_allowed() { # ROOM ROOM ..: up to the first
	last=$1
	shift
	for r in "$@"; do
		printf '%s ' "$r"
		[ "$r" != "$last" ] || break
	done
}

# Public headers whose contents are known in a room of the allocator.
doors_allowed() {
	case $1 in
	base) echo "heap.h inline.h" ;;
	os) echo "heap.h stack.h" ;;
	objects) echo "heap.h inline.h stack.h" ;;
	pages | stats) echo "heap.h" ;;
	malloc) echo "heap.h malloc.h" ;;
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
done)

each_room() { # FUNCTION: with the layer, its rooms and one of them
	for r in $allocator_rooms; do "$1" allocator "$allocator_rooms" "$r"; done
	for r in $collector_rooms; do "$1" collector "$collector_rooms" "$r"; done
	for r in $harness_rooms; do "$1" harness "$harness_rooms" "$r"; done
}
look_up() {
	layer=$1
	room=$3
	# shellcheck disable=SC2086
	may=" $(rooms_allowed "$room" $2)"
	[ "$layer" != allocator ] || may="$may$(doors_allowed "$room") "
	includes "$layer/$room" | while read -r place target; do
		case $layer/${place%%:*} in collector/*_internal.h | collector/*.c) continue ;; esac
		case $layer/$target in
		harness/harness/* | allocator/allocator/*/* | collector/collector/*/*) below=${target#*/} && below=${below%%/*} ;;
		allocator/spanmark/*) below=${target#spanmark/} ;;
		*) continue ;; # refused above
		esac
		case $may in
		*" $below "*) ;;
		*) echo "$place: $layer/$room/ may not include \"$target\" (it may use:$may)" ;;
		esac
	done
}
# A room that outgrows 20 files wants another wall; a file in a folder without a place among them, too.
count_files() {
	[ -d "$1/$3" ] || return 0
	files=$(find "$1/$3" -maxdepth 1 -type f | wc -l)
	[ "$files" -le 20 ] || echo "$1/$3: $files files, at most 20"
}
unknown_rooms() {
	for layer in allocator collector harness; do
		eval "all=\" \$${layer}_rooms \""
		for d in "$layer"/*/; do
			[ -d "$d" ] || continue
			d=${d%/} && d=${d#*/}
			case $all in *" $d "*) ;; *) echo "$layer/$d: a room that tests/layers.sh does not know" ;; esac
		done
		find "$layer" -maxdepth 1 -name '*.[ch]' ! -path harness/main.c 2>/dev/null |
			while read -r f; do echo "$f: stands in no room"; done
	done
}
found=$(printf '%s\n' "$found" && each_room look_up && each_room count_files && unknown_rooms)
found=$(printf '%s\n' "$found" | sed '/^$/d')

if [ -n "$found" ]; then
	printf '%s\n' "$found" >&2
	echo "layers: $(printf '%s\n' "$found" | wc -l) fault(s) against the floor plan" >&2
	exit 1
fi
echo "layers: every include points down"
