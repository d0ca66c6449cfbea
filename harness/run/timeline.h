/*
 * timeline.h: the file of --trace, to which each worker appends its sample through a descriptor of
 * its own (workloads/trace/trace.h). It has its name when the run is over, as -o does; a sample
 * that was killed stays in it as far as it got.
 */
#ifndef SM_HARNESS_TIMELINE_H
#define SM_HARNESS_TIMELINE_H

#include <sys/types.h>

#include "harness/options/options.h"
#include "harness/plan/record.h"
#include "harness/report/writer.h"

struct sm_trace_format;

struct sm_timeline {
	const struct sm_trace_format *format; /* NULL: there is none */
	struct sm_output output;
	int fd;	   /* of it, above the targets of a worker's descriptors */
	off_t end; /* of the samples that are done */
	unsigned samples;
	unsigned broken; /* more of them, of which the file has a part: killed, or a full disk */
	unsigned lost;	 /* .. or nothing */
	double events, dropped;
	char label[200]; /* of the sample that runs */
};

/* Without --trace there is none, and all calls do nothing. 0 or -errno and one line in err. */
int sm_timeline_open(struct sm_timeline *t, const struct sm_run_options *o, char *err,
		     size_t errlen);
/*
 * What the worker is told: the format and the label behind its other arguments, *fd for
 * SM_WORKER_TRACE_FD. Nothing of a sample that is simulated, whose times mean nothing.
 */
void sm_timeline_sample(struct sm_timeline *t, const struct sm_record *rec, char **argv, int *fd);
/* The worker has ended, and the record says how. */
void sm_timeline_took(struct sm_timeline *t, const struct sm_record *rec);
/* commit: the run is over, in whatever way; says what the file has. 0 or -errno and a line in err.
 */
int sm_timeline_close(struct sm_timeline *t, bool commit, char *err, size_t errlen);

#endif
