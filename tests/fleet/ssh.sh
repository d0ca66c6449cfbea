#!/bin/sh
# The recipe of docs/FLEET.md for ssh, as it stands there, on small work: two hosts, each a real sshd on a port of its own with
# a host name and a home of its own, and a key made for the occasion. Then again where the command on one of them is killed.
#
#   tests/fleet/ssh.sh BUILD_DIR      status 77 with the reason where that cannot be done
set -u
PATH=$PATH:/usr/sbin
for tool in sshd ssh scp ssh-keygen python3 unshare; do
	command -v $tool >/dev/null || { echo "no $tool here"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "a host name of one's own needs root"; exit 77; }
space="unshare --uts --mount --pid --fork --kill-child --mount-proc"
$space true 2>/dev/null || { echo "no namespaces of one's own here"; exit 77; }
. "$(dirname "$0")/../support/command.sh"
. "$root/tests/support/recipe.sh"
hosts="laptop server"

mkdir bin
cp "$cmd" bin/real
# What the recipe calls. Its run is a small one; where "kill" lies here, a program of which the third call on "server" ends the
# command that measures it.
cat >bin/spanmark <<S
#!/bin/sh
if [ "\$1" = run ]; then
	case \$*:\$(ls $tmp) in
	*--resume*) ;;
	*kill*) set -- run --store fleet.db --seed 7 --program $tmp/work --reps 3 -c none ;;
	*) set -- "\$@" -p churn.ops=2000 -c none ;;
	esac
	echo \$\$ >"\$HOME/pid"
fi
exec $tmp/bin/real "\$@"
S
cat >work <<'W'
#!/bin/sh
[ "$(hostname)" = server ] || exit 0
echo x >>"$HOME/calls"
[ "$(wc -l <"$HOME/calls")" != 3 ] || kill -9 "$(cat "$HOME/pid")"
W
for tool in ssh scp; do printf '#!/bin/sh\nexec %s -F %s/config "$@"\n' "$(command -v $tool)" "$tmp" >bin/$tool; done
chmod 755 work bin/*

# ---- the hosts ----
for key in key hostkey; do ssh-keygen -q -t ed25519 -N "" -f $key; done
[ -d /run/sshd ] || mkdir /run/sshd # sshd wants it
home=$(getent passwd 0 | cut -d: -f6)
ended=""
trap 'for p in $ended; do kill -9 "$p"; done 2>/dev/null; rm -rf "$tmp"' EXIT
for h in $hosts; do
	mkdir "$h.home"
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >"$h.sshd" <<C
Port $port
ListenAddress 127.0.0.1
HostKey $tmp/hostkey
AuthorizedKeysFile $tmp/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
SetEnv PATH=$tmp/bin:/usr/bin:/bin
C
	cat >>config <<C
Host $h
HostName 127.0.0.1
Port $port
User root
IdentityFile $tmp/key
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
C
	# shellcheck disable=SC2016
	$space sh -c 'hostname "$0" && mount --bind "$1" "$2" && exec "$3" -D -e -f "$4"' \
		"$h" "$tmp/$h.home" "$home" "$(command -v sshd)" "$tmp/$h.sshd" 2>"$h.err" &
	ended="$ended $!"
	for _ in $(seq 300); do
		grep -q "Server listening" "$h.err" && break
		sleep 0.1
	done
	grep -q "Server listening" "$h.err" || bad "no sshd: $(cat "$h.err")"
done

# ---- the recipe ----
# recipe STATUS FOLDER EXPRESSION: as typed, in a new folder; then of its runs by host
recipe() {
	tried=$((tried + 1))
	mkdir "$2"
	block FLEET.md ssh 1 >"$2.sh"
	[ -s "$2.sh" ] || bad "no block 1 of ssh"
	(cd "$2" && PATH=$tmp/bin:$PATH timeout 300 sh ../"$2.sh" >../out 2>../err </dev/null)
	seen=$?
	[ "$seen" = "$1" ] || { bad "$2: status $seen"; cat err out "$2"/*/log; }
	expect 0 "$cmd" runs --store "$2/fleet.db" -f json
	python3 - "$3" <<'P' || bad "$2: $3: $(cat out)"
import json, sys
runs = json.load(open("out"))
n = {r["host"]: r for r in runs}
assert sorted(n) == ["laptop", "server"] and len(runs) == 2 and n["laptop"]["state"] == "done", n
sys.exit(not eval(sys.argv[1]))
P
}
recipe 0 both "n['server']['samples'] == n['laptop']['samples'] == 24"
rm -f ./*.home/fleet.db*
: >kill
recipe 1 killed "n['laptop']['samples'] == 3 and n['server']['state'] != 'done' and 1 <= n['server']['samples'] < 3"
rm kill
# What it says of going on.
cd killed || exit 1
PATH=$tmp/bin:$PATH
expect 0 ssh server spanmark run --store fleet.db --resume
expect 0 scp -q "server:fleet.db*" server/
expect 0 spanmark merge --store fleet.db server/fleet.db
says " more "
finish
