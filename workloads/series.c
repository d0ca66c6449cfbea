/* series.c: thins what comes, and turns points into text and back. See series.h. */
#include "workloads/series.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- trails ------------------------------------------------------------------------------- */

static void raise_to(struct sm_trail_point *p, const uint64_t y[SM_TRAIL_LINES])
{
	for (unsigned k = 0; k < SM_TRAIL_LINES; k++)
		p->y[k] = y[k] > p->y[k] ? y[k] : p->y[k];
}

static void halve(struct sm_trail *t)
{
	for (unsigned i = 0; i < SM_TRAIL_POINTS / 2; i++) {
		t->points[i] = t->points[2 * i];
		raise_to(&t->points[i], t->points[2 * i + 1].y);
	}
	t->n = SM_TRAIL_POINTS / 2;
	t->each++;
}

void sm_trail_add(struct sm_trail *t, uint64_t x, const uint64_t y[SM_TRAIL_LINES])
{
	if (t->n > 0 && t->last < 1u << t->each) {
		raise_to(&t->points[t->n - 1], y);
		t->last++;
		return;
	}
	if (t->n == SM_TRAIL_POINTS)
		halve(t);
	t->points[t->n].x = x;
	memcpy(t->points[t->n].y, y, sizeof(t->points[t->n].y));
	t->n++;
	t->last = 1;
}

/* ---- text --------------------------------------------------------------------------------- */

void sm_series_begin(struct sm_series_text *t)
{
	*t = (struct sm_series_text){.text = NULL};
	t->file = open_memstream(&t->text, &t->len);
}

void sm_series_point(struct sm_series_text *t, uint64_t x, uint64_t y)
{
	if (t->file != NULL)
		fprintf(t->file, "%s[%llu,%llu]", t->n++ > 0 ? "," : "[", (unsigned long long)x,
			(unsigned long long)y);
}

char *sm_series_end(struct sm_series_text *t)
{
	if (t->file == NULL)
		return NULL;
	fputc(']', t->file);
	if (fclose(t->file) != 0 || t->n == 0) {
		free(t->text);
		t->text = NULL;
	}
	return t->text;
}

char *sm_trail_text(const struct sm_trail *t, unsigned line, uint64_t from, uint64_t to)
{
	struct sm_series_text text;

	sm_series_begin(&text);
	for (unsigned i = 0; i < t->n; i++)
		if (t->points[i].x >= from && t->points[i].x <= to &&
		    t->points[i].y[line] != UINT64_MAX)
			sm_series_point(&text, t->points[i].x - from, t->points[i].y[line]);
	return sm_series_end(&text);
}

/* "[1,2]" at *text, which moves behind it. */
static int read_point(const char **text, double point[2])
{
	static const char *const before[] = {"[", ","};
	char *end;

	for (int k = 0; k < 2; k++) {
		if (**text != before[k][0] || (*text)[1] < '0' || (*text)[1] > '9')
			return -EINVAL;
		point[k] = strtod(*text + 1, &end);
		if (!isfinite(point[k]))
			return -EINVAL;
		*text = end;
	}
	return *(*text)++ == ']' ? 0 : -EINVAL;
}

int sm_series_read(const char *text, double (**points)[2], size_t *n)
{
	size_t most = 0;
	int rc;

	for (const char *p = text; *p; p++)
		most += *p == '[';
	*n = 0;
	*points = calloc(most + 1, sizeof(**points));
	if (*points == NULL)
		return -ENOMEM;
	rc = *text == '[' ? 0 : -EINVAL;
	while (rc == 0) {
		text++; /* '[' or ',' */
		rc = read_point(&text, (*points)[*n]);
		if (rc == 0)
			++*n;
		if (rc == 0 && *text != ',')
			break;
	}
	if (rc == 0 && strcmp(text, "]") == 0)
		return 0;
	free(*points);
	*points = NULL;
	*n = 0;
	return -EINVAL;
}
