#!/bin/sh
# The recipes of docs/COMPARING.md, as they stand there, on small work: what a collector costs beside explicit free, two
# machines, and a change in CI, whose exit status tells equal libraries from one that got slower.
#
#   tests/cli/test_recipes.sh BUILD_DIR
set -u
. "$(dirname "$0")/../support/command.sh"
case $build in
*address* | *thread* | *undefined*) echo "a sanitizer has a malloc of its own, which must come first"; exit 77 ;;
esac
[ -f "$build/libspanmark-malloc.so" ] || { echo "no library in '$build'"; exit 77; }
command -v python3 >/dev/null || { echo "no python3 to read the document with"; exit 77; }

. "$root/tests/support/recipe.sh"

# A run of the recipe is a small one: each repetition takes a moment, and --until looks at what is always the same.
mkdir bin old new
cat >bin/spanmark <<S
#!/bin/sh
command=\$1
shift
case \$command:\$* in
run:*--until*) set -- "\$@" --until ops=1% ;;
esac
case \$command in
run) set -- "\$@" -p churn.ops=2000 -p binary-trees.depth=8 ;;
esac
exec "$build/spanmark" \$command "\$@"
S
printf '#!/bin/sh\necho "$HOST"\n' >bin/hostname
chmod +x bin/*
for side in old new; do
	cp bin/spanmark $side
	cp "$build/libspanmark-malloc.so" $side/liballoc.so
done
# recipe STATUSES HEADING N: run as typed
recipe() {
	block COMPARING.md "$2" "$3" >script
	[ -s script ] || bad "no block $3 of '$2'"
	(PATH=$tmp/bin:$PATH timeout 600 sh -e script) >out 2>err </dev/null
	got=$?
	case " $1 " in *" $got "*) ;; *) bad "'$2', block $3: status $got, not $1"; tail -5 err ;; esac
}

recipe 0 "Collected or freed: what a collector costs" 1
says "A = span (run 1"; says "binary-trees: wall, for an operation"; says "gc gc.percent=400"; says "/ span"

for HOST in laptop server; do
	export HOST
	recipe 0 "Two machines" 1
	[ -f $HOST.db ] || bad "no $HOST.db"
done
recipe 0 "Two machines" 2
says "A = laptop.db:1 (run 1"; says "10+10"; says "A = server.db:1/libc (run 1"; says "10 pairs"

# Two equal libraries: by chance, few repetitions may pass or not. Then what they took is set: the same, and 10 % more.
ci="In CI: a change makes nothing slower"
recipe "0 1 3" "$ci" 1
says "B = preload:new/liballoc.so (run 1"; says "10 pairs"
planted() {
	python3 - "$1" <<'P'
import sqlite3, sys
db = sqlite3.connect("ci.db")
ns = "SELECT result.rowid, grp, rep, value FROM result JOIN sample ON sample.id=sample WHERE name='ns_per_op' AND backend LIKE ?"
old = {(g - g % 2, rep): v for _, g, rep, v in db.execute(ns, ("%old%",))}
for row, g, rep, _ in db.execute(ns, ("%new%",)).fetchall():
    db.execute("UPDATE result SET value=? WHERE rowid=?", (float(sys.argv[1]) * old[g - g % 2, rep], row))
db.commit()
P
	sed -n '/^spanmark compare/,$p' script >gate
	(old=preload:old/liballoc.so new=preload:new/liballoc.so; export old new; PATH=$tmp/bin:$PATH timeout 300 sh -e gate) >out 2>err
	got=$?
	[ $got = "$2" ] || { bad "$1 times as slow: status $got, not $2"; cat out err; }
}
planted 1 0
says "same"
planted 1.1 3
says "worse"
rm ci.db
recipe "0 1 3" "$ci" 2
says "B = 2 (run 2"; says "15+15"

finish
