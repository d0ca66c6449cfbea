/*
 * What can be counted and measured on this machine, why not, and what to do about it.
 *
 * Every finding is one line: what was looked at, what it is, how good that is for measuring, and
 * the remedy. Remedies are commands for the administrator to run: spanmark itself never changes the
 * system.
 */
#ifndef SM_HARNESS_DOCTOR_H
#define SM_HARNESS_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct cJSON;
struct sm_calibration;

enum sm_health {
	SM_HEALTH_OK,
	SM_HEALTH_INFO, /* neither good nor bad, but results depend on it */
	SM_HEALTH_WARN, /* results will be noisier or poorer */
	SM_HEALTH_BAD,	/* something cannot be measured at all */
	SM_HEALTH_UNKNOWN,
};

struct sm_finding {
	char name[28];
	enum sm_health health;
	char value[200];
	char remedy[240]; /* "" when nothing is to be done */
	/* What a script may do about it, and undo: write this into these files; NULL: nothing. */
	const char *files, *to;
};

#define SM_DOCTOR_MAX 32

/*
 * Examines the machine whose files are below root ("" for this one; tests give a fake tree; what
 * needs system calls is asked of this kernel in any case, unless files_only). Returns the number of
 * findings.
 */
unsigned sm_doctor_examine(const char *root, bool files_only, struct sm_finding out[SM_DOCTOR_MAX]);
const char *sm_health_name(enum sm_health h); /* "ok", "info", "warn", "bad", "unknown" */

/*
 * Prints a shell script with two commands, prepare and restore: what was found to be improvable,
 * and back to what it was then. Whatever else is to be done stands in it as comments.
 */
void sm_doctor_script(const struct sm_finding *f, unsigned n, FILE *out);

/* JSON of findings, and of a calibration (NULL: none was made). The caller owns the result. */
struct cJSON *sm_doctor_json(const struct sm_finding *f, unsigned n,
			     const struct sm_calibration *c);

/*
 * The last calibration of this machine: kept by `doctor --calibrate` in
 * $XDG_STATE_HOME/spanmark/calibration.json (or ~/.local/state), to be stored with runs. load
 * returns malloc'ed JSON text or NULL.
 */
int sm_doctor_save_calibration(const char *json, char *path, size_t len);
char *sm_doctor_load_calibration(void);

#endif
