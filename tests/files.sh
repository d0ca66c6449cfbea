#!/bin/sh
# The files of the tree that one stands in, one a line: those that git tracks, with "all" those that are new too. Where there
# is no git, or no repository (a tree that was unpacked), what lies outside of build/.
#
#   tests/files.sh tracked|all [PATH ...]
set -eu
case $1 in all) flags="-co --exclude-standard" ;; *) flags=-c ;; esac
shift
# A checkout of another user's, as in a container, is no reason to refuse: nothing of its settings is used.
# shellcheck disable=SC2086
git -c safe.directory='*' ls-files $flags -- "$@" 2>/dev/null ||
	find "${@:-.}" -path ./build -prune -o -path ./.git -prune -o ! -type d -print | sed 's,^\./,,'
