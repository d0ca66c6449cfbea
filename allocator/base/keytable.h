/*
 * keytable.h: settings as rows of a table: what a key is called, what it takes, where its value
 * goes.
 *
 * A part with settings (the heap, the collector, malloc) keeps rows, and a struct that their
 * offsets point into.
 */
#ifndef SM_ALLOCATOR_KEYTABLE_H
#define SM_ALLOCATOR_KEYTABLE_H

#include "allocator/base/base.h"
#include "spanmark/heap.h"

enum sm_key_kind {
	SM_KEY_NUMBER, /* suffixes k, m, g, t are powers of 1024 */
	SM_KEY_SIZE,   /* a number that is shown with a suffix */
	SM_KEY_POW2,   /* a size that is a power of two */
	SM_KEY_BOOL,   /* 0|1, off|on, no|yes, false|true */
	/* one of words, stored as its index: the words stand in the order of the enum */
	SM_KEY_WORD,
	SM_KEY_OWN, /* read and shown by the table's owner */
};

struct sm_key {
	const char *name, *values, *help;
	size_t offset; /* of the member that takes the value */
	uint8_t bytes; /* of that member: 1, 4 or 8 */
	uint8_t kind;
	bool zero; /* 0 is allowed below min: "none", "automatic" */
	uint64_t min, max;
	const char *const *words; /* ends with NULL */
};

/* The offset and bytes of a row. */
#define SM_KEY_AT(type, member) \
	.offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member)

#define SM_KEYS_MAX 32 /* rows of a table */

/* The text of a table, for listings: what sm_heap_config_keys and its like hand out. Made at the
 * first call. */
struct sm_key_list {
	bool made;
	struct sm_config_key rows[SM_KEYS_MAX + 1];
};
const struct sm_config_key *sm__keys_list(struct sm_key_list *list, const struct sm_key *keys,
					  size_t nkeys);

/* The row of that name, or NULL. */
const struct sm_key *sm__key_find(const struct sm_key *keys, size_t nkeys, const char *name);
/* Reads text into k's member of the struct at base. 0, or -EINVAL with nothing changed. */
int sm__key_set(const struct sm_key *k, void *base, const char *text);
/* Shows that member in len bytes of buf; what is shown reads back. */
void sm__key_get(const struct sm_key *k, const void *base, char *buf, size_t len);
/* Says in err (errlen bytes) that text is not what k takes. -EINVAL. */
int sm__key_refuse(const struct sm_key *k, const char *text, char *err, size_t errlen);

/* Does every member hold what its row takes? A program may have set it without the row. 0, or
 * -EINVAL and a line in err (errlen bytes). */
int sm__keys_check(const struct sm_key *keys, size_t nkeys, const void *base, char *err,
		   size_t errlen);

/* Sizes with suffix k, m, g, t. 0, -EINVAL, -ERANGE. */
int sm_parse_size(const char *text, size_t *out);
/* The shortest spelling that reads back as n. */
void sm__print_size(char *buf, size_t len, size_t n);

#endif
