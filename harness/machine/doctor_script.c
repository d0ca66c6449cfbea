/* doctor_script.c: a script that prepares the machine for measuring, and puts it back: doctor.h. */
#include "harness/machine/doctor.h"

#include <stdio.h>
#include <string.h>

static const char head[] =
	"#!/bin/sh\n"
	"# Prepares this machine for measuring, and puts it back: by `spanmark doctor --script`, "
	"which\n"
	"# runs none of it. Read it first.\n"
	"#\n"
	"#   sudo sh FILE prepare   keeps what is set now, and sets what steadies results\n"
	"#   sudo sh FILE restore   puts back what was kept; a reboot does too\n"
	"#\n"
	"# SPANMARK_ROOT  a folder that plays / (to try it out)\n"
	"set -u\n"
	"root=${SPANMARK_ROOT-}\n"
	"kept=$root/run/spanmark-prepared\n"
	"status=0\n"
	"\n"
	"fail() { echo \"$0: $*\" >&2; status=1; }\n"
	"\n"
	"now() { # of a choice, always [madvise] never, the word in brackets\n"
	"\tvalue=$(cat \"$1\") || return\n"
	"\tcase $value in *\\[*\\]*) value=${value#*\\[} value=${value%%]*} ;; esac\n"
	"\tprintf '%s\\n' \"$value\"\n"
	"}\n"
	"\n"
	"set_to() { # set_to VALUE FILE..: each that is there, its old value being kept first\n"
	"\tto=$1\n"
	"\tshift\n"
	"\tfor file; do\n"
	"\t\t[ -e \"$file\" ] || continue\n"
	"\t\told=$(now \"$file\") || { fail \"cannot read $file\"; continue; }\n"
	"\t\t[ \"$old\" != \"$to\" ] || continue\n"
	"\t\tprintf '%s\\t%s\\n' \"${file#\"$root\"}\" \"$old\" >>\"$kept\"\n"
	"\t\tprintf '%s\\n' \"$to\" >\"$file\" || fail \"cannot write $to to $file\"\n"
	"\tdone\n"
	"}\n"
	"\n"
	"restore() {\n"
	"\t[ -e \"$kept\" ] || { fail \"nothing was prepared: there is no $kept\"; return; }\n"
	"\ttab=$(printf '\\t')\n"
	"\twhile IFS=$tab read -r file old; do\n"
	"\t\t[ \"$(now \"$root$file\")\" != \"$old\" ] || continue\n"
	"\t\tprintf '%s\\n' \"$old\" >\"$root$file\" || fail \"cannot write $old to $file\"\n"
	"\tdone <\"$kept\"\n"
	"\t[ \"$status\" != 0 ] || rm \"$kept\"\n"
	"}\n"
	"\n"
	"prepare() {\n"
	"\t[ ! -e \"$kept\" ] || { fail \"prepared already: restore first ($kept)\"; return; }\n"
	"\ttrue >\"$kept\" || { fail \"cannot keep the old values: run it as root\"; return; }\n";

static const char tail[] = "}\n"
			   "\n"
			   "case ${1-} in\n"
			   "prepare) prepare ;;\n"
			   "restore) restore ;;\n"
			   "*) fail \"what to do? prepare or restore\" ;;\n"
			   "esac\n"
			   "exit \"$status\"\n";

/* Text of a finding within a comment. */
static void put_comment(FILE *f, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, f);
	fputc('\n', f);
}

void sm_doctor_script(const struct sm_finding *f, unsigned n, FILE *out)
{
	fputs(head, out);
	for (unsigned i = 0; i < n; i++) {
		if (f[i].files == NULL)
			continue;
		fprintf(out, "\t# %s: ", f[i].name);
		put_comment(out, f[i].value);
		fprintf(out, "\tset_to %s \"$root\"%s\n", f[i].to, f[i].files);
	}
	fputs(tail, out);
	fputs("\n# What this script leaves to you:\n", out);
	for (unsigned i = 0; i < n; i++) {
		if (f[i].files != NULL || f[i].remedy[0] == '\0')
			continue;
		fprintf(out, "#   %s: ", f[i].name);
		put_comment(out, f[i].remedy);
	}
	fputs("#   interrupts: /proc/irq/*/smp_affinity moves those of devices off the CPUs that "
	      "measure\n"
	      "#   isolcpus, nohz_full: on the kernel's command line, keep everybody else off "
	      "them\n",
	      out);
}
