/*
 * until_value.h: the value of --until: which intervals are to become how narrow. What is done with
 * it: until.h of the plan.
 */
#ifndef SM_HARNESS_UNTIL_VALUE_H
#define SM_HARNESS_UNTIL_VALUE_H

#include <stddef.h>

#define SM_UNTIL_TARGETS 8

struct sm_until_target {
	char metric[64]; /* a result; "": time for an operation, else the whole time */
	double width;	 /* 0.01: 1 % */
};

/* "1%" or "ns_per_op=1%,p99_us=5%", n of them. 0, or -EINVAL and one line in err. */
int sm_until_parse(const char *text, struct sm_until_target all[SM_UNTIL_TARGETS], size_t *n,
		   char *err, size_t errlen);

#endif
