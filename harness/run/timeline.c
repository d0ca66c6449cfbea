/*
 * timeline.c: the file of --trace, from its temporary name to its own. See timeline.h.
 */
#include "harness/run/timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/complain.h"
#include "harness/base/descriptor.h"
#include "workloads/trace/trace.h"

static int fail(const char *path, int err, char *msg, size_t len)
{
	snprintf(msg, len, "--trace: cannot write '%.300s': %s", path, strerror(err));
	return -err;
}

/* The option whose file the timeline would replace; NULL: none. */
static const char *same_as(const struct sm_run_options *o)
{
	if (o->output != NULL && sm_output_hits_store(o->trace, o->output))
		return "--output";
	return o->store != NULL && sm_output_hits_store(o->trace, o->store) ? "--store" : NULL;
}

int sm_timeline_open(struct sm_timeline *t, const struct sm_run_options *o, char *err,
		     size_t errlen)
{
	const char *path = o->trace, *same = path != NULL ? same_as(o) : NULL;
	int rc;

	*t = (struct sm_timeline){.fd = -1};
	if (path == NULL)
		return 0;
	if (same != NULL) {
		snprintf(err, errlen, "--trace and %s name one file, '%.300s'; allowed: two", same,
			 path);
		return -EINVAL;
	}
	rc = sm_output_open_as(&t->output, "--trace", path, err, errlen);
	if (rc != 0)
		return rc;
	if (t->output.temporary == NULL) {
		snprintf(err, errlen, "--trace: '%.300s' is no regular file; allowed: a file",
			 path);
		sm_output_close(&t->output, false, NULL, 0);
		return -EINVAL;
	}
	t->fd = fcntl(fileno(t->output.file), F_DUPFD_CLOEXEC, SM_DESCRIPTOR_LEAST);
	t->format = sm_trace_format_of(path);
	rc = t->fd < 0 ? -errno : sm_trace_file_begin(t->format, t->fd);
	t->end = rc == 0 ? lseek(t->fd, 0, SEEK_END) : 0;
	if (rc == 0)
		return 0;
	sm_timeline_close(t, false, NULL, 0);
	return fail(path, -rc, err, errlen);
}

void sm_timeline_sample(struct sm_timeline *t, const struct sm_record *rec, char **argv, int *fd)
{
	if (t->format == NULL || rec->simulated)
		return;
	snprintf(t->label, sizeof(t->label), "%.160s rep %u%s%.0u", rec->label, rec->rep + 1,
		 rec->pass > 0 ? " pass " : "", rec->pass > 0 ? rec->pass + 1 : 0);
	argv[0] = (char *)sm_trace_format_name(t->format);
	argv[1] = t->label;
	*fd = t->fd;
}

void sm_timeline_took(struct sm_timeline *t, const struct sm_record *rec)
{
	const struct sm_result *events = sm_record_result(rec, "trace_events"),
			       *dropped = sm_record_result(rec, "trace_dropped");
	off_t begin = t->end, end;

	if (t->format == NULL || rec->simulated)
		return;
	end = sm_trace_file_mend(t->format, t->fd, t->end);
	if (end < 0)
		sm_complain("--trace: the timeline of %s is damaged: %s", t->label,
			    strerror((int)-end));
	else
		t->end = end;
	t->samples += events != NULL;
	t->broken += events == NULL && t->end > begin;
	t->lost += events == NULL && t->end <= begin;
	t->events += events != NULL ? events->value : 0;
	t->dropped += dropped != NULL ? dropped->value : 0;
}

/* ", and a part of 2 samples" */
static void print_lack(char *buf, size_t len, const char *what, unsigned n)
{
	if (n > 0)
		snprintf(buf, len, ", and %s of %u sample%s", what, n, n == 1 ? "" : "s");
}

int sm_timeline_close(struct sm_timeline *t, bool commit, char *err, size_t errlen)
{
	char path[300], broken[60] = "", lost[60] = "";
	int rc = 0;

	if (t->format == NULL)
		return 0;
	snprintf(path, sizeof(path), "%s", t->output.path);
	if (commit)
		rc = sm_trace_file_end(t->format, t->fd);
	if (t->fd >= 0)
		close(t->fd);
	t->format = NULL;
	if (rc != 0) {
		sm_output_close(&t->output, false, err, errlen);
		return fail(path, -rc, err, errlen);
	}
	rc = sm_output_close(&t->output, commit, err, errlen);
	print_lack(broken, sizeof(broken), "a part", t->broken);
	print_lack(lost, sizeof(lost), "nothing", t->lost);
	if (rc == 0 && commit)
		sm_complain("the timeline is in '%s': %.0f events of %u samples, %.0f dropped%s%s; "
			    "their times have the recording in them",
			    path, t->events, t->samples, t->dropped, broken, lost);
	return rc;
}
