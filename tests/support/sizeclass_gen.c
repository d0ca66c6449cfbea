/*
 * sizeclass_gen.c: generates allocator/base/sizeclass.c (`make gen-sizeclass`). test_sizeclass
 * generates it again and compares it with the committed one.
 *
 * The bound. Handing out a request of `size` in a slot of `slot` bytes wastes slot - size; a span
 * of `bytes` bytes with n slots wastes its tail, bytes - n * slot. A class is made as large as
 * possible while the worst request that falls into it (one byte more than the class before) keeps
 *
 *     n * (slot - size) + tail  <=  bytes / 8                                       (12.5%)
 *
 * for some number of units per span. Up to 128 B the classes are fixed: 8, 16, 24, 32, then steps
 * of
 * 16. Powers of two are always classes, so that an aligned request finds a slot that is a multiple
 *     of
 * its alignment. Above 1 KiB slots are multiples of 128 B, the step of the lookup table.
 *
 * Units per span: the fewest that meet the bound and give at least MIN_SLOTS slots, so that one
 * trip to a central list serves several objects.
 */
#include "tests/support/sizeclass_gen.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SMALL   32768u
#define MIN_SLOTS   4u
#define MAX_SPAN    (256u << 10)
#define MAX_CLASSES 80

struct class
{
	unsigned slot, nslots, nunits, recip;
	unsigned worst_permille; /* waste of the worst request */
};

static struct class classes[MAX_CLASSES];
static unsigned nclasses;

static unsigned waste(unsigned slot, unsigned size, size_t bytes)
{
	unsigned n = (unsigned)(bytes / slot);

	return (unsigned)(n * (size_t)(slot - size) + (bytes - (size_t)n * slot));
}

static unsigned reciprocal(unsigned slot)
{
	return (unsigned)((((uint64_t)1 << 32) + slot - 1) / slot);
}

/* slot = (offset * recip) >> 32 must be exact for every byte of every slot. It is, or not, at a
 * slot's last byte. */
static int reciprocal_is_exact(unsigned slot, unsigned nslots)
{
	uint64_t i, recip = reciprocal(slot);

	for (i = 0; i < nslots; i++)
		if ((i * slot * recip) >> 32 != i || (((i + 1) * slot - 1) * recip) >> 32 != i)
			return 0;
	return 1;
}

/* Units for a span of `slot` whose worst request is `size`; 0 when no number meets the bound. */
static unsigned units_for(unsigned slot, unsigned size, size_t unit, int bounded,
			  unsigned max_units)
{
	unsigned u;

	for (u = 1; u <= max_units; u++) {
		size_t bytes = u * unit;

		if (bytes / slot < MIN_SLOTS ||
		    !reciprocal_is_exact(slot, (unsigned)(bytes / slot)))
			continue;
		if (!bounded ? (bytes % slot) * 8 <= bytes
			     : (size_t)waste(slot, size, bytes) * 8 <= bytes)
			return u;
	}
	return 0;
}

static void add_class(unsigned slot, unsigned prev, size_t unit, int bounded)
{
	struct class *c = &classes[nclasses++];
	unsigned units = units_for(slot, prev + 1, unit, bounded, (unsigned)(MAX_SPAN / unit));
	size_t bytes = units * unit;

	if (units == 0 || nclasses > MAX_CLASSES) {
		fprintf(stderr, "sizeclass: no span for slots of %u\n", slot);
		exit(1);
	}
	c->slot = slot;
	c->nunits = units;
	c->nslots = (unsigned)(bytes / slot);
	c->recip = reciprocal(slot);
	c->worst_permille = (unsigned)((uint64_t)waste(slot, prev + 1, bytes) * 1000 / bytes);
}

static int is_power_of_two(unsigned n)
{
	return (n & (n - 1)) == 0;
}

/* The largest slot after `prev` that meets the bound with few enough units, not jumping over a
 * power of two. */
static unsigned next_slot_within(unsigned prev, size_t unit, int frugal)
{
	unsigned slot, best = 0;

	for (slot = prev + 16; slot <= MAX_SMALL; slot += 16) {
		unsigned least = (unsigned)((MIN_SLOTS * slot + unit - 1) / unit);

		if (slot > 1024 && slot % 128 != 0)
			continue;
		if (units_for(slot, prev + 1, unit, 1,
			      frugal ? least : (unsigned)(MAX_SPAN / unit)) != 0)
			best = slot;
		if (is_power_of_two(slot))
			return best;
	}
	return best;
}

/* Small spans are preferred to few classes: no more units than MIN_SLOTS needs, where that is
 * possible. */
static unsigned next_slot(unsigned prev, size_t unit)
{
	unsigned slot = next_slot_within(prev, unit, 1);

	return slot ? slot : next_slot_within(prev, unit, 0);
}

static void generate(unsigned shift)
{
	static const unsigned fixed[] = {8, 16, 24, 32, 48, 64, 80, 96, 112, 128};
	size_t unit = (size_t)1 << shift;
	unsigned prev = 0, i;

	nclasses = 1;
	memset(classes, 0, sizeof(classes));
	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		add_class(fixed[i], prev, unit, 0);
		prev = fixed[i];
	}
	while (prev < MAX_SMALL) {
		unsigned slot = next_slot(prev, unit);

		if (slot == 0) {
			fprintf(stderr, "sizeclass: no class after %u\n", prev);
			exit(1);
		}
		add_class(slot, prev, unit, 1);
		prev = slot;
	}
}

static unsigned class_of(unsigned size)
{
	unsigned c = 1;

	while (classes[c].slot < size)
		c++;
	return c;
}

static void print_lookup(FILE *out, const char *name, const char *dim, unsigned n, unsigned base,
			 unsigned step)
{
	unsigned i;

	fprintf(out, "const uint8_t %s[%s] = {", name, dim);
	for (i = 0; i < n; i++) {
		unsigned size = base + i * step;

		fprintf(out, "%s%u,", i % 24 == 0 ? "\n\t" : " ", size == 0 ? 1 : class_of(size));
	}
	fprintf(out, "\n};\n");
}

static void print_tables(FILE *out, unsigned shift)
{
	unsigned i;

	fprintf(out, "#%s SM_UNIT_SHIFT == %u\n\n", shift == 13 ? "if" : "elif", shift);
	fprintf(out, "const unsigned sm__nclasses = %u;\n\n", nclasses);
	fprintf(out, "/* slot bytes, reciprocal, slots, units; the comment: class, waste of the "
		     "worst request "
		     "*/\n");
	fprintf(out, "const struct sm_sizeclass sm__sizeclasses[SM_NCLASSES_MAX] = {\n\t{0, 0, 1, "
		     "0}, /* large "
		     "*/\n");
	for (i = 1; i < nclasses; i++) {
		const struct class *c = &classes[i];

		fprintf(out, "\t{%u, %uu, %u, %u}, /* %u: %u.%u%% */\n", c->slot, c->recip,
			c->nslots, c->nunits, i, c->worst_permille / 10, c->worst_permille % 10);
	}
	fprintf(out, "};\n\n");
	print_lookup(out, "sm__class_small", "1024 / 8 + 1", 1024 / 8 + 1, 0, 8);
	fprintf(out, "\n");
	print_lookup(out, "sm__class_big", "(32768 - 1024) / 128 + 1", (32768 - 1024) / 128 + 1,
		     1024, 128);
	fprintf(out, "\n");
}

void sm_generate_sizeclasses(FILE *out)
{
	unsigned shift;

	fprintf(out, "/* Generated by tests/support/sizeclass_gen.c (make gen-sizeclass), where "
		     "the waste "
		     "bound is stated. "
		     "Do not edit. */\n/* clang-format off */\n#include "
		     "\"allocator/base/sizeclass.h\"\n\n");
	for (shift = 13; shift <= 16; shift++) {
		if (shift == 15)
			continue;
		generate(shift);
		print_tables(out, shift);
	}
	fprintf(out, "#endif\n");
}
