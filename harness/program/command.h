/*
 * command.h: a command line as the user types it, and what the kernel will make of it.
 *
 * A line is split as a shell would, without running one: blanks, quotes, backslashes, $NAME, ~ and
 * patterns of files; command substitution and operators (| & ; < >) are refused. For those there is
 * sh -c '..'.
 */
#ifndef SM_HARNESS_PROGRAM_COMMAND_H
#define SM_HARNESS_PROGRAM_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The words of a line, NULL-terminated. The first is a path: what is found in PATH, as execvp does.
 * 0; -EINVAL and one line in err: it cannot be split, does not exist or cannot be executed;
 * -ENOMEM. Free with sm_argv_free.
 */
int sm_command_split(const char *option, const char *line, char ***argv, char *err, size_t errlen);
void sm_argv_free(char **argv);

/* Can a library be put in front of its malloc (LD_PRELOAD)? Scripts are followed to what
 * interprets them. false, and why: "'/bin/busybox' is linked statically". */
bool sm_command_takes_preload(const char *path, char *why, size_t whylen);

/* What stands for it in a report: the file's name, letters that are no trouble. */
void sm_command_name(const char *path, char *buf, size_t len);

#endif
