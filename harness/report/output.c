/*
 * output.c: the file of -o, and where a report goes that cannot get there. See writer.h.
 */
#include "harness/report/writer.h"

#include "harness/base/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The temporary files of what is open, a report and a timeline at most; "": none. */
static char abandoned[2][PATH_MAX];

void sm_output_abandon(void)
{
	for (int i = 0; i < 2; i++)
		if (abandoned[i][0])
			unlink(abandoned[i]);
}

static void remember(const char *temporary)
{
	int i = abandoned[0][0] != '\0';

	snprintf(abandoned[i], sizeof(abandoned[i]), "%s", temporary);
}

static void forget(const char *temporary)
{
	for (int i = 0; i < 2 && temporary != NULL; i++)
		if (strcmp(abandoned[i], temporary) == 0)
			abandoned[i][0] = '\0';
}

static int fail_file(const struct sm_output *o, int err, char *msg, size_t len)
{
	snprintf(msg, len, "%s: cannot write '%.300s': %s", o->option,
		 o->path != NULL ? o->path : "standard output", strerror(err));
	return -err;
}

/* A device, pipe or socket has no "beside": it is written directly. */
static int open_in_place(struct sm_output *o, char *err, size_t errlen)
{
	o->file = fopen(o->path, "we");
	return o->file != NULL ? 0 : fail_file(o, errno, err, errlen);
}

static int open_beside(struct sm_output *o, mode_t mode, char *err, size_t errlen)
{
	size_t len = strlen(o->path) + 16;
	int fd, saved;

	o->temporary = malloc(len);
	if (o->temporary == NULL)
		return fail_file(o, ENOMEM, err, errlen);
	snprintf(o->temporary, len, "%s.XXXXXX", o->path);
	fd = mkostemp(o->temporary, O_CLOEXEC);
	if (fd < 0) {
		saved = errno;
		free(o->temporary);
		o->temporary = NULL;
		return fail_file(o, saved, err, errlen);
	}
	if (fchmod(fd, mode) == 0) /* some file systems have no modes: what they give will do */
		errno = 0;
	remember(o->temporary);
	o->file = fdopen(fd, "w");
	if (o->file == NULL) {
		saved = errno;
		close(fd);
		unlink(o->temporary);
		return fail_file(o, saved, err, errlen);
	}
	return 0;
}

static int open_path(struct sm_output *o, const char *path, char *err, size_t errlen)
{
	struct stat st;
	char *real = realpath(path, NULL); /* NULL for a new file */
	mode_t mask;

	o->path = real != NULL ? real : strdup(path);
	if (o->path == NULL) {
		snprintf(err, errlen, "%s: out of memory", o->option);
		return -ENOMEM;
	}
	if (stat(o->path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return fail_file(o, EISDIR, err, errlen);
		if (!S_ISREG(st.st_mode))
			return open_in_place(o, err, errlen);
		if (access(o->path, W_OK) != 0) /* rename would get past a read-only file */
			return fail_file(o, errno, err, errlen);
		return open_beside(o, st.st_mode & 07777, err, errlen);
	}
	if (errno != ENOENT)
		return fail_file(o, errno, err, errlen);
	mask = umask(0);
	umask(mask);
	return open_beside(o, 0666 & ~mask, err, errlen);
}

int sm_output_open(struct sm_output *o, const char *path, char *err, size_t errlen)
{
	return sm_output_open_as(o, "--output", path, err, errlen);
}

int sm_output_open_as(struct sm_output *o, const char *option, const char *path, char *err,
		      size_t errlen)
{
	int rc;

	*o = (struct sm_output){.option = option};
	if (path == NULL || strcmp(path, "-") == 0) {
		o->file = stdout;
		return 0;
	}
	rc = open_path(o, path, err, errlen);
	if (rc) {
		free(o->temporary);
		free(o->path);
		*o = (struct sm_output){0};
	}
	return rc;
}

/* Would both names lead to one file? It need not exist yet. */
static bool same_file(const char *a, const char *b)
{
	const char *names[2] = {a, b};
	char *places[2];
	struct stat st[2];
	bool same;

	if (stat(a, &st[0]) == 0 && stat(b, &st[1]) == 0)
		return st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino;
	for (int i = 0; i < 2; i++) {
		const char *slash = strrchr(names[i], '/');
		char *dir = slash != NULL ? strndup(names[i], (size_t)(slash - names[i]) + 1)
					  : strdup(".");
		char *real = dir != NULL ? realpath(dir, NULL) : NULL;

		if (real == NULL ||
		    asprintf(&places[i], "%s/%s", real, slash != NULL ? slash + 1 : names[i]) < 0)
			places[i] = NULL;
		free(real);
		free(dir);
	}
	same = places[0] != NULL && places[1] != NULL && strcmp(places[0], places[1]) == 0;
	free(places[0]);
	free(places[1]);
	return same;
}

bool sm_output_hits_store(const char *path, const char *store)
{
	static const char *const files[] = {"", "-wal", "-shm", "-journal"};
	bool hit = false;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *name = NULL;

		if (asprintf(&name, "%s%s", store, files[i]) > 0)
			hit |= same_file(path, name);
		free(name);
	}
	return hit;
}

int sm_output_close(struct sm_output *o, bool commit, char *err, size_t errlen)
{
	int rc = 0;

	if (o->file != NULL) {
		if (fflush(o->file) != 0 || ferror(o->file))
			rc = errno ? errno : EIO;
		/* The data before the name: a crash must not leave an empty file where a full one
		 * was. */
		if (rc == 0 && commit && o->temporary != NULL && fsync(fileno(o->file)) != 0)
			rc = errno;
		if (o->file != stdout && fclose(o->file) != 0 && rc == 0)
			rc = errno;
	}
	if (o->temporary != NULL) {
		if (rc == 0 && commit && rename(o->temporary, o->path) != 0)
			rc = errno;
		if (rc || !commit)
			unlink(o->temporary);
	}
	forget(o->temporary);
	if (rc)
		fail_file(o, rc, err, errlen);
	free(o->temporary);
	free(o->path);
	*o = (struct sm_output){0};
	return -rc;
}

struct sm_metric sm__writer_metric(const struct sm_metric *m)
{
#define SUM(constant, name) [SM_BY_##constant] = "by-" #name,
	static const char *const sums[] = {SM_BY_LIST(SUM)};
	struct sm_metric shown = *m;

	if (!m->role[0])
		shown.role = sums[m->by];
	return shown;
}

void sm_writer_fit(struct sm_writer *w, enum sm_color color, FILE *out)
{
	w->color = color == SM_COLOR_AUTO ? sm_terminal_colors(out) : color == SM_COLOR_ALWAYS;
	w->width = sm_terminal_width(out, SM_TABLE_WIDTH);
}

int sm_report_write(const struct sm_report *r, const struct sm_writer *w, FILE *out)
{
	int rc = -EINVAL;

	switch (w->format) {
	case SM_FORMAT_TABLE: rc = sm_write_table(r, w, out); break;
	case SM_FORMAT_CSV: rc = sm_write_csv(r, out); break;
	case SM_FORMAT_JSON: rc = sm_write_json(r, w, out); break;
	case SM_FORMAT_GO: rc = sm_write_go(r, w, out); break;
	case SM_FORMAT_MARKDOWN: rc = sm_write_markdown(r, w, out); break;
	case SM_FORMAT_OPENMETRICS: rc = sm_write_openmetrics(r, w, out); break;
	}
	if (rc == 0 && (fflush(out) != 0 || ferror(out)))
		rc = -EIO;
	return rc;
}

int sm_report_rescue(const struct sm_report *r, const struct sm_writer *w, char *path, size_t len)
{
	const char *tmp = getenv("TMPDIR");
	const char *const folders[] = {tmp != NULL && tmp[0] == '/' ? tmp : "/tmp", "/tmp",
				       "/var/tmp"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		int fd, rc;
		FILE *f;

		snprintf(path, len, "%.400s/spanmark-report-XXXXXX", folders[i]);
		fd = mkostemp(path, O_CLOEXEC);
		f = fd >= 0 ? fdopen(fd, "w") : NULL;
		if (f == NULL)
			continue;
		rc = sm_report_write(r, w, f);
		if (fclose(f) == 0 && rc == 0)
			return 0;
		unlink(path);
	}
	return -EIO;
}
