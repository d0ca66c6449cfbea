/*
 * configfile.h: the configuration file: INI text that names options.
 */
#ifndef SM_HARNESS_CONFIGFILE_H
#define SM_HARNESS_CONFIGFILE_H

#include <stddef.h>

/* Takes one option by its long name. 0 or -errno and one line in err. */
typedef int sm_config_take_fn(void *ctx, const char *name, const char *value, char *err,
			      size_t errlen);

/* Reads `path` and gives every option in it to take. 0, -EINVAL, -errno and one line in err that
 * names file and line. */
int sm_config_file_read(const char *path, sm_config_take_fn *take, void *ctx, char *err,
			size_t errlen);

#endif
