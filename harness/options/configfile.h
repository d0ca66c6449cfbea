/*
 * configfile.h: the text of a plan or configuration file: INI.
 *
 *     ; or # begins a comment, on a line of its own or behind a blank, but not in quotes
 *     [section]
 *     key = value
 *     key = one,
 *         two              an indented line without = goes on with the value
 *     key = "a ; b "       in quotes: as it stands, with \" \\ \n
 */
#ifndef SM_HARNESS_CONFIGFILE_H
#define SM_HARNESS_CONFIGFILE_H

#include <stddef.h>
#include <stdio.h>

/* key NULL: the section begins here. Before the first section its name is "". */
struct sm_config_item {
	const char *section, *key, *value;
	unsigned section_line, line;
};

/* 0 or -errno and one line in err. */
typedef int sm_config_fn(void *ctx, const struct sm_config_item *item, char *err, size_t errlen);

/* The whole file, "-" standard input, malloc'ed; NULL and one line in err. */
char *sm_config_load(const char *path, char *err, size_t errlen);
/* Gives every item of the text to fn. 0, -EINVAL, -ENOMEM; err names path and line. */
int sm_config_each(const char *path, const char *text, sm_config_fn *fn, void *ctx, char *err,
		   size_t errlen);

/* A value as it is to be written, in quotes where it would not be read back otherwise. */
void sm_config_put(FILE *f, const char *value);

#endif
