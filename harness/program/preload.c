/* preload.c: a malloc library in a program that is not ours. See preload.h. */
#include "harness/program/preload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/descriptor.h"
#include "harness/mallocs/library.h"

#ifndef SM_WITNESS
#error "SM_WITNESS: where the Makefile has built harness/program/witness"
#endif

/* The witness as built, in the text of this program. */
__asm__(".section .rodata\n"
	".balign 16\n"
	"sm__witness:\n"
	".incbin \"" SM_WITNESS "\"\n"
	"sm__witness_end:\n"
	".byte 0\n"
	".previous\n");
extern const char sm__witness[] __attribute__((visibility("hidden")));
extern const char sm__witness_end[] __attribute__((visibility("hidden")));

/* ---- in memory ---------------------------------------------------------------------------- */

static bool is_ours(const char *entry)
{
	return strncmp(entry, "LD_PRELOAD=", 11) == 0 ||
	       strncmp(entry, "SPANMARK_WITNESS=", 17) == 0;
}

/* Our environment with the two of ours; what the user preloads stays, behind. */
static int make_env(struct sm_preload *p, const char *lib)
{
	const char *users = getenv("LD_PRELOAD");
	int pid = (int)getpid();
	size_t n = 0;

	for (size_t i = 0; environ[i] != NULL; i++)
		n++;
	p->env = calloc(n + 3, sizeof(*p->env));
	if (p->env == NULL)
		return -ENOMEM;
	n = 0;
	if (asprintf(&p->env[n], "LD_PRELOAD=%s:/proc/%d/fd/%d%s%s", lib, pid, p->library,
		     users != NULL && *users ? ":" : "", users != NULL ? users : "") < 0 ||
	    asprintf(&p->env[++n], "SPANMARK_WITNESS=/proc/%d/fd/%d", pid, p->lines) < 0) {
		p->env[n] = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; environ[i] != NULL; i++) {
		if (is_ours(environ[i]))
			continue;
		p->env[++n] = strdup(environ[i]);
		if (p->env[n] == NULL)
			return -ENOMEM;
	}
	return 0;
}

int sm_preload_make(struct sm_preload *p, const char *lib)
{
	int rc;

	*p = (struct sm_preload){.library = memfd_create("spanmark-witness", MFD_CLOEXEC),
				 .lines = memfd_create("spanmark-lines", MFD_CLOEXEC)};
	rc = p->library < 0 || p->lines < 0 ? -errno : 0;
	if (rc == 0)
		rc = sm_descriptor_write(p->library, sm__witness,
					 (size_t)(sm__witness_end - sm__witness));
	/* a program that ends as another user may write, too */
	if (rc == 0 && (fchmod(p->library, 0555) != 0 || fchmod(p->lines, 0666) != 0))
		rc = -errno;
	if (rc == 0)
		rc = make_env(p, lib);
	if (rc)
		sm_preload_free(p);
	return rc;
}

void sm_preload_free(struct sm_preload *p)
{
	for (size_t i = 0; p->env != NULL && p->env[i] != NULL; i++)
		free(p->env[i]);
	free(p->env);
	if (p->library >= 0)
		close(p->library);
	if (p->lines >= 0)
		close(p->lines);
	*p = (struct sm_preload){.library = -1, .lines = -1};
}

/* ---- proof -------------------------------------------------------------------------------- */

static bool is_library(const char *object, const char *lib)
{
	const char *slash = strrchr(object, '/');

	if (strcmp(lib, SM_PRELOAD_LIBC) == 0)
		return strcmp(slash != NULL ? slash + 1 : object, SM_PRELOAD_LIBC) == 0;
	return sm_library_same_file(object, lib);
}

static void take_line(char *line, const char *lib, pid_t pid, struct sm_preload_proof *out)
{
	char *object;
	long who = strtol(line, &object, 10);
	bool same;

	if (who <= 0 || *object != ' ')
		return;
	object++;
	same = is_library(object, lib);
	out->programs++;
	out->others += !same;
	if (!same)
		snprintf(out->other, sizeof(out->other), "%s", *object ? object : "its own");
	if (who != pid)
		return;
	out->proved = same;
	snprintf(out->object, sizeof(out->object), "%s", *object ? object : "its own");
}

void sm_preload_prove(const struct sm_preload *p, const char *lib, pid_t pid,
		      struct sm_preload_proof *out)
{
	char line[1100];
	int fd = p->lines >= 0 ? dup(p->lines) : -1;
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

	*out = (struct sm_preload_proof){0};
	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewind(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = 0;
		take_line(line, lib, pid, out);
	}
	fclose(f);
}
