/*
 * doctor_internal.h: what the examinations of spanmark doctor share: doctor_checks.c,
 * doctor_steady.c.
 */
#ifndef SM_HARNESS_DOCTOR_INTERNAL_H
#define SM_HARNESS_DOCTOR_INTERNAL_H

#include "harness/machine/doctor.h"

struct exam {
	const char *root;
	struct sm_finding *out;
	unsigned n;
};

/* One more finding. */
void sm__doctor_find(struct exam *x, const char *name, enum sm_health health, const char *remedy,
		     const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The remedy of the last one, if it has any, is to write this into these files (a shell pattern):
 * sm_doctor_script() does. */
void sm__doctor_settable(struct exam *x, const char *files, const char *to);

/* The first line of a file, its number; false: not there. */
bool sm__doctor_text(struct exam *x, const char *path, char *buf, size_t len);
bool sm__doctor_number(struct exam *x, const char *path, long *v);

/* How steady the machine is; what other programs do. */
void sm__doctor_check_steady(struct exam *x);
void sm__doctor_check_others(struct exam *x);

#endif
