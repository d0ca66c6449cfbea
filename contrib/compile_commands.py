#!/usr/bin/env python3
"""compile_commands.json for editors and clang-tidy, from what make would run: make -Bn V=1 .. | this."""
import json
import os
import shlex
import sys

here = os.getcwd()
entries = []
for line in sys.stdin:
    if " -c -o " in line:
        words = shlex.split(line)
        entries.append({"directory": here, "file": words[-1], "arguments": words})
json.dump(entries, sys.stdout, indent=1)
print()
print(f"{len(entries)} files", file=sys.stderr)
