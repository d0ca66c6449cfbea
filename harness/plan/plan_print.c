/* plan_print.c: the plan as --dry-run shows it. See plan.h. */
#include "harness/plan/plan.h"

#include <stdio.h>

#include "harness/plan/until.h"

#define SHOWN_REPS 4 /* of the order */

static void print_placement(const struct sm_plan *p, const struct sm_case *c, FILE *out)
{
	char text[SM_PLACED_TEXT];

	sm_placement_describe(p->topology, &c->placement, text, sizeof(text));
	fprintf(out, "    %s\n", text);
	for (unsigned i = 0; i < c->placement.n; i++) {
		const struct sm_place_thread *t = &c->placement.threads[i];

		fprintf(out, "    %s %u: ", sm_role_name(t->role), t->index);
		if (t->pu == SM_NONE)
			fputs(t->role == SM_ROLE_WORKER
				      ? "not pinned; gc.avoid_cpus keeps it off mutators' CPUs\n"
				      : "not pinned\n",
			      out);
		else
			fprintf(out, "cpu %d (core %d, L3 %d, node %d, package %d)\n", t->pu_os,
				t->core, t->l3, t->node_os, t->package);
	}
}

/* The first repetitions in the order of running: a line for each sample. */
static void print_order(const struct sm_plan *p, FILE *out)
{
	unsigned round = p->ncases * p->passes, shown = p->reps < SHOWN_REPS ? p->reps : SHOWN_REPS;

	for (unsigned i = 0; i < shown * round; i++) {
		const struct sm_case *c = &p->cases[p->order[i] / p->passes];

		if (i % round == 0)
			fprintf(out, "order of repetition %u:\n", i / round + 1);
		if (c->backend->missing[0] != '\0')
			continue;
		fprintf(out, "  %s", c->label);
		if (p->passes > 1)
			fprintf(out, ", pass %u", p->order[i] % p->passes + 1);
		fputc('\n', out);
	}
	if (shown < p->reps)
		fprintf(out, "and so on; all repetitions are ordered by the seed\n");
}

void sm_plan_print(const struct sm_plan *p, FILE *out)
{
	fprintf(out, "machine: %s (%s), %d PUs allowed of %d, %d cores, %d nodes\n",
		p->topology->source,
		p->topology->cpu_model[0] ? p->topology->cpu_model : "model unknown",
		p->topology->n_allowed, p->topology->n_pus, p->topology->n_cores,
		p->topology->n_nodes);
	fprintf(out,
		"%u cases x %u counter passes x %u repetitions = %u samples, seed %llu, limit %g s "
		"each\n",
		p->ncases, p->passes, p->reps, p->njobs, (unsigned long long)p->seed, p->timeout_s);
	if (p->nbeside > 0)
		fprintf(out, "%u of them are simulated passes for the counts, at a smaller size\n",
			p->nbeside);
	if (p->until) {
		struct sm_until u = {.first = p->reps, .step = p->step};
		unsigned second = sm_until_next(&u, p->reps);

		fprintf(out, "--until looks after %u, %u, %u repetitions and so on\n", p->reps,
			second, sm_until_next(&u, second));
	}
	for (unsigned i = 0; i < p->ncases; i++) {
		const struct sm_case *c = &p->cases[i];

		if (c->part->o->title != NULL && (i == 0 || c->part != p->cases[i - 1].part))
			fprintf(out, "[%s]\n", c->part->o->title);
		if (c->backend->missing[0] != '\0') {
			fprintf(out, "  %s: %s\n", c->label, c->backend->missing);
			continue;
		}
		fprintf(out, "  %s, place %s, mark-place %s%s%s\n", c->label,
			sm_place_name(c->place),
			c->backend->kernel == SM_WL_GC ? sm_mark_place_name(c->mark_place) : "none",
			c->kind[0] ? ", kind " : "", c->kind);
		print_placement(p, c, out);
	}
	print_order(p, out);
}
