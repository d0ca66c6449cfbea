/* doctor_kept.c: the calibration that `spanmark doctor --calibrate` keeps. See doctor.h. */
#include "harness/machine/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int state_path(char *path, size_t len, bool make)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n;

	if (xdg != NULL && *xdg)
		n = snprintf(path, len, "%s/spanmark/calibration.json", xdg);
	else if (home != NULL && *home)
		n = snprintf(path, len, "%s/.local/state/spanmark/calibration.json", home);
	else
		return -ENOENT;
	if (n < 0 || (size_t)n >= len)
		return -ENAMETOOLONG;
	for (char *p = path + 1; make && (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	return 0;
}

/* Written beside and renamed: a reader sees the old file or the new one. */
int sm_doctor_save_calibration(const char *json, char *path, size_t len)
{
	char tmp[600];
	FILE *f;
	int rc = state_path(path, len, true);

	if (rc)
		return rc;
	snprintf(tmp, sizeof(tmp), "%s.%d", path, (int)getpid());
	f = fopen(tmp, "we");
	if (f == NULL)
		return -errno;
	rc = fputs(json, f) < 0 ? -EIO : 0;
	if (fclose(f) || rc || rename(tmp, path)) {
		rc = rc ? rc : -errno;
		unlink(tmp);
		return rc;
	}
	return 0;
}

char *sm_doctor_load_calibration(void)
{
	char path[512], *text;
	size_t n;
	FILE *f;

	if (state_path(path, sizeof(path), false))
		return NULL;
	f = fopen(path, "re");
	if (f == NULL)
		return NULL;
	text = calloc(1, 1 << 20);
	n = text != NULL ? fread(text, 1, (1 << 20) - 1, f) : 0;
	fclose(f);
	if (!n) {
		free(text);
		return NULL;
	}
	return text;
}
