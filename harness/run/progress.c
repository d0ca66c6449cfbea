/* progress.c: see progress.h. */
#include "harness/run/progress.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool sm_progress_rewrites(bool is_terminal, const char *term)
{
	return is_terminal && term != NULL && term[0] && strcmp(term, "dumb") != 0;
}

int sm_progress_init(struct sm_progress *p, FILE *out, bool terminal, const unsigned *left,
		     unsigned ngroups)
{
	*p = (struct sm_progress){.out = out, .terminal = terminal, .ngroups = ngroups};
	p->group_s = calloc(ngroups + 1, sizeof(*p->group_s));
	p->group_n = calloc(ngroups + 1, sizeof(*p->group_n));
	p->planned = calloc(ngroups + 1, sizeof(*p->planned));
	if (p->group_s == NULL || p->group_n == NULL || p->planned == NULL) {
		sm_progress_free(p);
		return -ENOMEM;
	}
	for (unsigned g = 0; g < ngroups; g++) {
		p->planned[g] = left[g];
		p->total += left[g];
	}
	return 0;
}

void sm_progress_free(struct sm_progress *p)
{
	free(p->group_s);
	free(p->group_n);
	free(p->planned);
	p->group_s = NULL;
	p->group_n = p->planned = NULL;
}

static unsigned tenths_done(const struct sm_progress *p)
{
	return p->total > 0 ? (unsigned)((uint64_t)p->done * 10 / p->total) : 0;
}

void sm_progress_more(struct sm_progress *p, unsigned each)
{
	for (unsigned g = 0; g < p->ngroups; g++) {
		if (p->group_n[g] > 0 && p->group_s[g] <= 0)
			continue; /* not run: its backend is not installed */
		p->planned[g] += each;
		p->total += each;
	}
	p->tenths = tenths_done(p);
}

double sm_progress_left(const struct sm_progress *p)
{
	double all_s = 0, left = 0;
	unsigned all_n = 0;

	for (unsigned g = 0; g < p->ngroups; g++) {
		all_s += p->group_s[g];
		all_n += p->group_n[g];
	}
	if (all_n == 0)
		return -1;
	for (unsigned g = 0; g < p->ngroups; g++) {
		double each = p->group_n[g] ? p->group_s[g] / p->group_n[g] : all_s / all_n;

		left += each * p->planned[g];
	}
	if (p->most_s > 0 && left > p->most_s - all_s)
		left = p->most_s > all_s ? p->most_s - all_s : 0;
	return left;
}

static void duration(double s, char *buf, size_t len)
{
	unsigned long t = s < 0 ? 0 : (unsigned long)(s + 0.5);

	if (t < 60)
		snprintf(buf, len, "%lu s", t);
	else if (t < 3600)
		snprintf(buf, len, "%lu:%02lu min", t / 60, t % 60);
	else
		snprintf(buf, len, "%lu:%02lu h", t / 3600, t / 60 % 60);
}

void sm_progress_clear(struct sm_progress *p)
{
	if (p->terminal && p->shown)
		fputs("\r\033[K", p->out);
	p->shown = false;
	fflush(p->out);
}

void sm_progress_relay(struct sm_progress *p, const char *data, size_t len)
{
	sm_progress_clear(p);
	for (size_t i = 0; i < len; i++) {
		/* No escape sequences from a program under test. */
		bool harmless = data[i] == '\n' || data[i] == '\t' ||
				((unsigned char)data[i] >= 0x20 && data[i] != 0x7f);

		fputc(harmless ? data[i] : '?', p->out);
	}
	if (len)
		p->partial = data[len - 1] != '\n';
	fflush(p->out);
}

static void end_partial(struct sm_progress *p)
{
	if (p->partial)
		fputc('\n', p->out);
	p->partial = false;
}

/* ", 12 s left"; "" where there is no idea. */
static const char *left_text(const struct sm_progress *p, char *buf, size_t len)
{
	double s = sm_progress_left(p);
	char text[24];

	buf[0] = '\0';
	if (s >= 0) {
		duration(s, text, sizeof(text));
		snprintf(buf, len, ", %s left", text);
	}
	return buf;
}

static unsigned cases_done(const struct sm_progress *p)
{
	unsigned n = 0;

	for (unsigned g = 0; g < p->ngroups; g++)
		n += p->planned[g] == 0;
	return n;
}

void sm_progress_start(struct sm_progress *p, const char *label, unsigned rep, unsigned pass)
{
	char left[40], line[224];

	if (!p->terminal)
		return;
	sm_progress_clear(p);
	end_partial(p);
	/* Short enough for 80 columns: a line that wraps cannot be taken back. */
	snprintf(line, sizeof(line), "[%u/%u] %u of %u cases done%s: %s rep %u%s%.0u", p->done,
		 p->total, cases_done(p), p->ngroups, left_text(p, left, sizeof(left)), label,
		 rep + 1, pass ? " pass " : "", pass ? pass + 1 : 0);
	fprintf(p->out, "%.79s", line);
	p->shown = true;
	fflush(p->out);
}

static void say_tenth(struct sm_progress *p)
{
	unsigned tenths = tenths_done(p);
	char left[40];

	if (p->terminal || tenths <= p->tenths)
		return;
	p->tenths = tenths;
	fprintf(p->out, "[%u/%u] %u of %u cases done%s\n", p->done, p->total, cases_done(p),
		p->ngroups, p->done < p->total ? left_text(p, left, sizeof(left)) : "");
}

void sm_progress_end(struct sm_progress *p, unsigned group, const char *label, unsigned rep,
		     unsigned pass, enum sm_outcome status, const char *message, double took_s)
{
	if (group < p->ngroups) {
		p->group_s[group] += took_s;
		p->group_n[group]++;
		p->planned[group] -= p->planned[group] > 0;
	}
	p->done++;
	sm_progress_clear(p);
	end_partial(p);
	if (status != SM_OUTCOME_OK)
		fprintf(p->out, "[%u/%u] %s rep %u%s%.0u: %s: %s\n", p->done, p->total, label,
			rep + 1, pass ? " pass " : "", pass ? pass + 1 : 0,
			sm_outcome_names[status], message);
	say_tenth(p);
	fflush(p->out);
}
