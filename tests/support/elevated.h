/* elevated.h: runs a copy of this program with cap_perfmon as a file capability, as nobody. */
#ifndef SM_TESTS_SUPPORT_ELEVATED_H
#define SM_TESTS_SUPPORT_ELEVATED_H

/*
 * Runs the copy with argument `arg` in an environment of env alone (NULL-terminated). Its exit
 * status; -1: cannot be done here (not root, no file capabilities, a sanitized build), after a line
 * that says so. A child that finds itself not elevated exits with 1, which counts as that.
 */
int elevated_run(const char *arg, char *const *env);

#endif
