/*
 * layout.h: a store of an earlier layout, from tests/data/store/, for the tests that take it over.
 */
#ifndef SM_TESTS_LAYOUT_H
#define SM_TESTS_LAYOUT_H

struct sm_store;

/* Makes one of layout 5: a finished run of four samples and a killed one. Skips the program where
 * the data is not here. */
void layout_make(const char *path);
/* Every row of every table of the store `old` is in s, with every column that it had, and no
 * other. */
void layout_holds_all(struct sm_store *s, const char *old);

#endif
