#!/bin/sh
# Fails on an include that points up the floor plan (DESIGN: "arrows point down only").
#
#   tests/layers.sh [ROOT]
#
# An include of ours is root-relative, so its first folder names the layer it reaches for. The public headers are
# the door, include/spanmark/, and are included as "spanmark/NAME.h" by everybody, as a program does.
set -eu
root=${1:-$(dirname "$0")/..}
cd "$root"

# What each folder may include, besides the system's headers.
allowed() {
	case $1 in
	include) echo "spanmark allocator" ;;
	allocator) echo "allocator spanmark" ;;
	collector) echo "collector allocator spanmark" ;;
	perf) echo "perf" ;;
	workloads) echo "workloads collector allocator perf spanmark" ;;
	harness) echo "harness workloads collector allocator perf spanmark" ;;
	tests) echo "tests harness workloads collector allocator perf spanmark" ;;
	esac
}

found=$(for layer in include allocator collector perf workloads harness tests; do
	[ -d "$layer" ] || continue
	may=" $(allowed "$layer") "
	find "$layer" -type f \( -name '*.[chS]' -o -name '*.def' -o -name '*.inc' \) -exec \
		grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' {} + |
		while IFS= read -r line; do
			target=$(printf '%s\n' "$line" | sed 's/.*include[[:space:]]*"\([^"]*\)".*/\1/')
			case $target in
			*/*) folder=${target%%/*} ;;
			*) folder="" ;;
			esac
			place=$(printf '%s\n' "$line" | cut -d: -f1,2)
			case $folder in
			"" | . | ..) echo "$place: \"$target\" is not relative to the root" ;;
			*) case $may in
				*" $folder "*) ;;
				*) echo "$place: $layer/ may not include \"$target\" (it may use:$may)" ;;
				esac ;;
			esac
		done
done)

if [ -n "$found" ]; then
	printf '%s\n' "$found" >&2
	echo "layers: $(printf '%s\n' "$found" | wc -l) include(s) against the floor plan" >&2
	exit 1
fi
echo "layers: every include points down"
