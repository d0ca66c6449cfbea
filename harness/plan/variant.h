/*
 * variant.h: --variant "KEY=VALUE KEY=VALUE": settings that make one case together, and a case's
 * settings one by one.
 */
#ifndef SM_HARNESS_VARIANT_H
#define SM_HARNESS_VARIANT_H

#include "harness/plan/case.h"

#define SM_VARIANT_DEFAULT "default" /* no setting at all */

enum sm_variant_word { SM_WORD_SETTING, SM_WORD_WORKERS, SM_WORD_PLACE, SM_WORD_MARK_PLACE };

/* What KEY=VALUE is about: an option's name, or a setting. */
enum sm_variant_word sm__variant_word(const char *assignment);
/* The next KEY=VALUE of the text, which moves behind it; false when there are no more. */
bool sm__variant_next(const char **text, const char **assignment, size_t *len);

/* All calls: 0, -ENOMEM, or -EINVAL and one line in err. */
int sm__variant_apply(struct sm_case *c, const char *text, char *err, size_t errlen);
/* A later value of a key takes an earlier one's place. */
int sm__case_set(struct sm_case *c, const char *pair, size_t len);
int sm__case_place(struct sm_case *c, const char *text, char *err, size_t errlen);
int sm__case_mark_place(struct sm_case *c, const char *text, char *err, size_t errlen);

#endif
