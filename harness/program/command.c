/* command.c: a command line, and what it starts. See command.h. */
#include "harness/program/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <wordexp.h>

#include "harness/mallocs/elf.h"

#define MAX_SCRIPTS 4 /* as the kernel: interpreters of interpreters */

/* ---- words -------------------------------------------------------------------------------- */

void sm_argv_free(char **argv)
{
	for (size_t i = 0; argv != NULL && argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}

static const char *split_error(int rc)
{
	switch (rc) {
	case WRDE_BADCHAR:
		return "| & ; < > ( ) { } and line ends need a shell: sh -c '..', or quotes";
	case WRDE_CMDSUB: return "command substitution needs a shell: sh -c '..'";
	default: return "a quote or a bracket is not closed";
	}
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* As execvp: a name without a slash is looked for in PATH. The path, malloc'ed, or NULL and errno.
 */
static char *find(const char *name)
{
	const char *dirs = getenv("PATH");
	int err = ENOENT;

	if (strchr(name, '/') != NULL) {
		if (access(name, X_OK) == 0 && is_file(name))
			return strdup(name);
		errno = access(name, F_OK) == 0 ? EACCES : errno;
		return NULL;
	}
	for (const char *p = dirs != NULL ? dirs : "/usr/bin:/bin";; p++) {
		size_t len = strcspn(p, ":");
		char *path = NULL;

		if (asprintf(&path, "%.*s/%s", len ? (int)len : 1, len ? p : ".", name) < 0)
			return NULL;
		if (is_file(path) && access(path, X_OK) == 0)
			return path;
		if (is_file(path))
			err = EACCES;
		free(path);
		p += len;
		if (!*p)
			break;
	}
	errno = err;
	return NULL;
}

static int refuse(const char *option, const char *line, const char *why, char *err, size_t errlen)
{
	snprintf(err, errlen, "%s '%.80s': %s", option, line, why);
	return -EINVAL;
}

int sm_command_split(const char *option, const char *line, char ***argv, char *err, size_t errlen)
{
	wordexp_t w = {0};
	int rc = wordexp(line, &w, WRDE_NOCMD);
	char why[160];

	*argv = NULL;
	if (rc == WRDE_NOSPACE) {
		wordfree(&w);
		return -ENOMEM;
	}
	if (rc != 0)
		return refuse(option, line, split_error(rc), err, errlen);
	if (w.we_wordc == 0) {
		wordfree(&w);
		return refuse(option, line, "there is no command in it", err, errlen);
	}
	*argv = calloc(w.we_wordc + 1, sizeof(**argv));
	rc = *argv != NULL ? 0 : -ENOMEM;
	for (size_t i = 0; i < w.we_wordc && rc == 0; i++) {
		(*argv)[i] = i > 0 ? strdup(w.we_wordv[i]) : find(w.we_wordv[0]);
		if (i == 0 && (*argv)[0] == NULL) {
			snprintf(why, sizeof(why), "'%.60s' %s", w.we_wordv[0],
				 errno == EACCES ? "is no file that may be executed"
				 : strchr(w.we_wordv[0], '/') != NULL
					 ? "does not exist"
					 : "does not exist in any folder of PATH");
			rc = refuse(option, line, why, err, errlen);
		} else if ((*argv)[i] == NULL) {
			rc = -ENOMEM;
		}
	}
	wordfree(&w);
	if (rc == 0)
		return 0;
	sm_argv_free(*argv);
	*argv = NULL;
	return rc;
}

void sm_command_name(const char *path, char *buf, size_t len)
{
	const char *slash = strrchr(path, '/');
	size_t n = 0;

	for (const char *p = slash != NULL ? slash + 1 : path; *p && n + 1 < len && n < 40; p++)
		buf[n++] = (*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z') ||
					   strchr("+-_.", *p) != NULL
				   ? *p
				   : '_';
	buf[n] = 0;
}

/* ---- what the loader will do --------------------------------------------------------------- */

/* More rights than ours: the loader then takes nothing from the environment. */
static const char *more_rights(int fd)
{
	struct stat st;
	char caps[64];

	if (fstat(fd, &st) != 0)
		return NULL;
	if ((st.st_mode & S_ISUID) && st.st_uid != geteuid())
		return "is setuid";
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getegid())
		return "is setgid";
	if (geteuid() != 0 && fgetxattr(fd, "security.capability", caps, sizeof(caps)) > 0)
		return "has capabilities of its own";
	return NULL;
}

/* "#! /usr/bin/env python3": the path alone, in place. */
static char *interpreter(char *head)
{
	char *p = head + 2;

	p += strspn(p, " \t");
	p[strcspn(p, " \t\r\n")] = 0;
	return p;
}

/* What a program is that no library can be put before; NULL: it can. */
static const char *read_program(int fd, const char *file, char *why, size_t whylen)
{
	const char *wrong = more_rights(fd);
	struct sm_elf elf;

	if (wrong != NULL)
		return wrong;
	if (sm_elf_read(file, &elf, why, whylen) != 0)
		return why;
	/* what it defines comes before all that is loaded */
	return !elf.interpreted ? "is linked statically"
	       : elf.has_malloc ? "has a malloc of its own"
				: NULL;
}

bool sm_command_takes_preload(const char *path, char *why, size_t whylen)
{
	char file[512], head[512], text[120];

	snprintf(file, sizeof(file), "%s", path);
	for (int depth = 0; depth <= MAX_SCRIPTS; depth++) {
		int fd = open(file, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd >= 0 ? pread(fd, head, sizeof(head) - 1, 0) : -1;
		const char *wrong = fd >= 0 ? NULL : "cannot be read";
		bool script = n > 2 && head[0] == '#' && head[1] == '!';

		head[n > 0 ? n : 0] = 0;
		if (wrong == NULL && !script)
			wrong = read_program(fd, file, text, sizeof(text));
		if (fd >= 0)
			close(fd);
		if (wrong != NULL) {
			snprintf(why, whylen, "'%.100s' %s", file, wrong);
			return false;
		}
		if (!script)
			return true;
		memmove(file, interpreter(head), strlen(interpreter(head)) + 1);
	}
	snprintf(why, whylen, "'%.100s' is a script of scripts", path);
	return false;
}
