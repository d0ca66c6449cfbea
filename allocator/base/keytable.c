/* keytable.c: settings as rows of a table, from text and to text. */
#include "allocator/base/keytable.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "allocator/base/atomic.h"
#include "allocator/base/lock.h"

const struct sm_key *sm__key_find(const struct sm_key *keys, size_t nkeys, const char *name)
{
	for (size_t i = 0; i < nkeys; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

const struct sm_config_key *sm__keys_list(struct sm_key_list *list, const struct sm_key *keys,
					  size_t nkeys)
{
	static struct sm_lock making = SM_LOCK_INIT(SM_RANK_LEAF);

	SM_ASSERT(nkeys <= SM_KEYS_MAX);
	/* The rows are written under the lock, by the first caller, and never again. */
	sm_lock_acquire(&making);
	for (size_t i = 0; i < nkeys && !list->made; i++)
		list->rows[i] = (struct sm_config_key){keys[i].name, keys[i].values, keys[i].help};
	list->made = true;
	sm_lock_release(&making);
	return list->rows;
}

int sm__key_refuse(const struct sm_key *k, const char *text, char *err, size_t errlen)
{
	snprintf(err, errlen, "%s: '%s' is not allowed; allowed: %s", k->name, text, k->values);
	return -EINVAL;
}

/* ---- numbers ------------------------------------------------------------------------------ */

int sm_parse_size(const char *text, size_t *out)
{
	unsigned long long n;
	unsigned shift = 0;
	char *end;

	/* strtoull would take a sign and blanks. */
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno == ERANGE)
		return -ERANGE;
	switch (tolower((unsigned char)*end)) {
	case 'k': shift = 10; break;
	case 'm': shift = 20; break;
	case 'g': shift = 30; break;
	case 't': shift = 40; break;
	case '\0': break;
	default: return -EINVAL;
	}
	if (shift != 0 && end[1] != '\0' && strcasecmp(end + 1, "ib") != 0) /* 8k, 8KiB */
		return -EINVAL;
	if (n > SIZE_MAX >> shift)
		return -ERANGE;
	*out = (size_t)n << shift;
	return 0;
}

void sm__print_size(char *buf, size_t len, size_t n)
{
	static const char *const suffix[] = {"", "k", "m", "g", "t"};
	unsigned i = 0;

	while (n != 0 && n % 1024 == 0 && i < 4) {
		n /= 1024;
		i++;
	}
	snprintf(buf, len, "%zu%s", n, suffix[i]);
}

/* ---- from text ---------------------------------------------------------------------------- */

static bool takes_number(const struct sm_key *k, size_t n)
{
	if ((n < k->min || n > k->max) && !(n == 0 && k->zero))
		return false;
	return k->kind != SM_KEY_POW2 || (n & (n - 1)) == 0;
}

static int parse_number(const struct sm_key *k, const char *text, size_t *out)
{
	size_t n;

	if (sm_parse_size(text, &n) != 0 || !takes_number(k, n))
		return -EINVAL;
	*out = n;
	return 0;
}

static int parse_word(const char *const *words, const char *text, size_t *out)
{
	for (size_t i = 0; words[i] != NULL; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i;
			return 0;
		}
	return -EINVAL;
}

int sm__key_set(const struct sm_key *k, void *base, const char *text)
{
	static const char *const truths[] = {"0",   "1",     "off",  "on", "no",
					     "yes", "false", "true", NULL};
	void *member = (char *)base + k->offset;
	size_t n;
	int err;

	switch (k->kind) {
	case SM_KEY_WORD: err = parse_word(k->words, text, &n); break;
	case SM_KEY_BOOL: err = parse_word(truths, text, &n); break;
	default: err = parse_number(k, text, &n); break;
	}
	if (err != 0)
		return err;
	/* An enumeration is stored through uint32_t. */
	switch (k->bytes) {
	case 1: *(bool *)member = n & 1; break;
	case 4: *(uint32_t *)member = (uint32_t)n; break;
	default: *(uint64_t *)member = n; break;
	}
	return 0;
}

/* ---- as it is ----------------------------------------------------------------------------- */

static size_t value_of(const struct sm_key *k, const void *base)
{
	const void *member = (const char *)base + k->offset;

	switch (k->bytes) {
	case 1: return *(const bool *)member;
	case 4: return *(const uint32_t *)member;
	default: return *(const uint64_t *)member;
	}
}

static bool takes_word(const struct sm_key *k, size_t n)
{
	for (size_t i = 0; k->words[i] != NULL; i++)
		if (i == n)
			return true;
	return false;
}

int sm__keys_check(const struct sm_key *keys, size_t nkeys, const void *base, char *err,
		   size_t errlen)
{
	for (size_t i = 0; i < nkeys; i++) {
		const struct sm_key *k = &keys[i];
		size_t n = value_of(k, base);
		char text[24];

		if (k->kind == SM_KEY_OWN || k->kind == SM_KEY_BOOL ||
		    (k->kind == SM_KEY_WORD ? takes_word(k, n) : takes_number(k, n)))
			continue;
		snprintf(text, sizeof(text), "%zu", n);
		return sm__key_refuse(k, text, err, errlen);
	}
	return 0;
}

/* ---- to text ------------------------------------------------------------------------------ */

void sm__key_get(const struct sm_key *k, const void *base, char *buf, size_t len)
{
	size_t n = value_of(k, base);

	if (k->kind == SM_KEY_WORD)
		snprintf(buf, len, "%s", k->words[n]);
	else if (k->kind == SM_KEY_SIZE || k->kind == SM_KEY_POW2)
		sm__print_size(buf, len, n);
	else
		snprintf(buf, len, "%zu", n);
}
