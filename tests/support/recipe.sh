# shellcheck shell=sh
# recipe.sh: for tests that do what a document says, behind command.sh.
#
#   block DOCUMENT HEADING N     the Nth block of commands in the section of docs/DOCUMENT
block() {
	python3 - "$root/docs/$1" "$2" "$3" <<'P'
import re, sys
text = open(sys.argv[1]).read()
section = re.search(r"^## %s\n(.*?)(?=^## |\Z)" % re.escape(sys.argv[2]), text, re.M | re.S).group(1)
blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section, re.M)
print(re.sub(r"^    ", "", blocks[int(sys.argv[3]) - 1].strip("\n"), flags=re.M))
P
}
