/* setfile.c: see setfile.h. */
#include "allocator/os/setfile.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "allocator/base/atomic.h"
#include "allocator/base/say.h"
#include "allocator/base/syscall.h"
#include "allocator/os/initext.h"

#define FILE_MAX (32 * SM_KIB)

/* ---- the machine -------------------------------------------------------------------------- */

/* The value behind "key<blanks>:", of the line that begins with it; its length. */
static size_t value_of(const char *line, const char *key, const char **value)
{
	size_t n = strlen(key);

	if (strncmp(line, key, n) != 0)
		return 0;
	line += n + strspn(line + n, " \t");
	if (*line++ != ':')
		return 0;
	line += strspn(line, " \t");
	*value = line;
	return strcspn(line, "\n");
}

struct cpuinfo {
	char model[80], implementer[16], part[16];
	unsigned cpus;
};

static void take_line(struct cpuinfo *c, const char *line)
{
	const char *value;
	size_t n;

	c->cpus += value_of(line, "processor", &value) > 0;
	if ((n = value_of(line, "model name", &value)) > 0 && c->model[0] == '\0')
		snprintf(c->model, sizeof(c->model), "%.*s", (int)(n < 79 ? n : 79), value);
	if ((n = value_of(line, "CPU implementer", &value)) > 0)
		snprintf(c->implementer, sizeof(c->implementer), "%.*s", (int)(n < 15 ? n : 15),
			 value);
	if ((n = value_of(line, "CPU part", &value)) > 0)
		snprintf(c->part, sizeof(c->part), "%.*s", (int)(n < 15 ? n : 15), value);
}

/* By pieces of whole lines: the file grows with the CPUs. */
static void read_cpuinfo(struct cpuinfo *c)
{
	char text[4096];
	long fd = sm__syscall6(SYS_openat, AT_FDCWD, (long)"/proc/cpuinfo", O_RDONLY | O_CLOEXEC, 0,
			       0, 0);
	size_t have = 0;
	long n = 1;

	while (!sm__sys_failed(fd) && n > 0) {
		char *line = text, *end;

		n = sm__syscall6(SYS_read, fd, (long)(text + have), (long)(sizeof(text) - 1 - have),
				 0, 0, 0);
		have += n > 0 ? (size_t)n : 0;
		text[have] = '\0';
		while ((end = strchr(line, '\n')) != NULL) {
			take_line(c, line);
			line = end + 1;
		}
		if (line == text && have == sizeof(text) - 1)
			line = text + have; /* one line, longer than any that matters */
		have -= (size_t)(line - text);
		memmove(text, line, have);
	}
	if (!sm__sys_failed(fd))
		sm__syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
}

void sm__machine(char *buf, size_t len)
{
	struct cpuinfo c = {.cpus = 0};

	read_cpuinfo(&c);
	if (c.model[0] == '\0' && c.part[0] != '\0')
		snprintf(c.model, sizeof(c.model), "implementer %s part %s", c.implementer, c.part);
	if (c.model[0] == '\0' || c.cpus == 0)
		snprintf(buf, len, "unknown");
	else
		snprintf(buf, len, "%s, %u CPU%s", c.model, c.cpus, c.cpus == 1 ? "" : "s");
}

/* ---- the file ----------------------------------------------------------------------------- */

struct reader {
	const char *path;
	unsigned line;
	enum { NONE, OTHER, MACHINE, SET, RUN } section;
	sm_setting_fn *fn;
	void *ctx;
};

static _Atomic(bool) warned;

static void check_machine(const struct reader *r, const char *identity)
{
	char here[SM_MACHINE_MAX];

	sm__machine(here, sizeof(here));
	if (strcmp(here, identity) != 0 && !sm_exchange_acqrel(&warned, true))
		sm__say("%s: these settings were found on another kind of machine (%s; this is %s)",
			r->path, identity, here);
}

/* Of the options of the command, what a library has, too: as the setting that it is there. */
static const char *as_setting(const struct reader *r, const char *key)
{
	if (r->section == RUN)
		return strcmp(key, "workers") == 0 ? "gc.workers" : NULL;
	return r->section == SET ? key : NULL;
}

static void take_setting(struct reader *r, char *line)
{
	char *equals = line + strcspn(line, "=:"), *value, err[256] = "";
	const char *key;
	int e;

	if (*equals == '\0' || r->section == NONE) {
		sm__say(*equals == '\0' ? "%s line %u: allowed: [section], KEY = VALUE, ; comment"
					: "%s line %u: in no section; allowed: [set] above it",
			r->path, r->line);
		return;
	}
	*equals = '\0';
	key = sm__ini_trim(line);
	value = sm__ini_strip(equals + 1);
	sm__ini_unquote(value);
	if (r->section == MACHINE && strcmp(key, "identity") == 0)
		check_machine(r, value);
	key = as_setting(r, key);
	if (key == NULL)
		return;
	e = r->fn(r->ctx, key, value, err, sizeof(err));
	if (e != 0 && e != -ENOENT)
		sm__say("%s line %u: %s", r->path, r->line, err);
}

/* What stands below a line that was to begin a section is nobody's. */
static void take_section(struct reader *r, char *line)
{
	const char *name = sm__ini_section(line);

	r->section = OTHER;
	if (name == NULL)
		sm__say("%s line %u: allowed: [section], KEY = VALUE, ; comment", r->path, r->line);
	else if (strcmp(name, "machine") == 0)
		r->section = MACHINE;
	else if (strcmp(name, "set") == 0)
		r->section = SET;
	else if (strcmp(name, "run") == 0)
		r->section = RUN;
}

static void take_text(struct reader *r, char *text)
{
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (text != NULL) {
		char *end = strchr(text, '\n'), *line;

		if (end != NULL)
			*end++ = '\0';
		r->line++;
		line = sm__ini_trim(text);
		text = end;
		if (*line == '\0' || *line == ';' || *line == '#')
			continue;
		if (*line == '[')
			take_section(r, line);
		else
			take_setting(r, line);
	}
}

/* Not getenv: a shell has one of its own, which allocates. */
static const char *variable(void)
{
	size_t n = strlen(SM_SETFILE_VARIABLE);

	for (char **e = environ; e != NULL && *e != NULL; e++)
		if (strncmp(*e, SM_SETFILE_VARIABLE, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

void sm__setfile_read(sm_setting_fn *fn, void *ctx)
{
	struct reader r = {.path = variable(), .fn = fn, .ctx = ctx};
	long text, n;

	if (r.path == NULL || *r.path == '\0')
		return;
	text = sm__sys_mmap(NULL, FILE_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
	if (sm__sys_failed(text)) {
		sm__say("%s: no memory to read it", r.path);
		return;
	}
	n = sm__sys_read_text(r.path, (char *)text, FILE_MAX);
	if (n < 0)
		sm__say("%s=%s: cannot be read: error %ld", SM_SETFILE_VARIABLE, r.path, -n);
	else if (n >= (long)FILE_MAX - 1)
		sm__say("%s=%s: longer than %d KiB", SM_SETFILE_VARIABLE, r.path,
			(int)(FILE_MAX / SM_KIB) - 1);
	else if (strlen((char *)text) != (size_t)n)
		sm__say("%s=%s: not text", SM_SETFILE_VARIABLE, r.path);
	else
		take_text(&r, (char *)text);
	sm__sys_munmap((void *)text, FILE_MAX);
}
