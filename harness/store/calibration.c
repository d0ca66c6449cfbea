/* calibration.c: a kept calibration into a run, and into its report. See calibration.h. */
#include "harness/store/calibration.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/machine/doctor.h"
#include "harness/base/complain.h"

static double member_number(const cJSON *obj, const char *name, bool *has)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);

	*has = cJSON_IsNumber(item);
	return *has ? item->valuedouble : 0;
}

static const char *member_text(const cJSON *obj, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);

	return cJSON_IsString(item) ? item->valuestring : "";
}

int sm_calibration_keep(struct sm_store *s, int64_t run, const char *cpu_model)
{
	char *text = sm_doctor_load_calibration();
	cJSON *root = text != NULL ? cJSON_Parse(text) : NULL;
	const char *model = member_text(root, "cpu_model");
	const cJSON *rows = cJSON_GetObjectItemCaseSensitive(root, "calibration"), *item;
	int rc = 0;

	/* A home directory may be shared by machines. */
	if (rows != NULL && strcmp(model, cpu_model) != 0) {
		sm_complain("the kept calibration is of another machine (%.80s) and not used; see "
			    "spanmark "
			    "doctor "
			    "--calibrate",
			    model[0] ? model : "not named");
		rows = NULL;
	}
	cJSON_ArrayForEach(item, rows)
	{
		bool has;
		struct sm_calibration_row row = {
			.kernel = member_text(item, "kernel"),
			.event = member_text(item, "metric"),
			.label = member_text(item, "event"),
			.verdict = member_text(item, "verdict"),
			.reason = member_text(item, "reason"),
			.expected = member_number(item, "expected", &has),
		};

		row.error = member_number(item, "error", &row.has_value);
		row.counted = member_number(item, "counted", &row.has_value);
		if (rc == 0)
			rc = sm_store_add_calibration(s, run, &row);
	}
	cJSON_Delete(root);
	free(text);
	return rc;
}

/* The label of a formula is its events' labels with blanks, or commas and blanks, between them. */
static bool is_part(const char *whole, const char *label)
{
	size_t len = strlen(label);

	for (const char *p = whole; len > 0 && (p = strstr(p, label)) != NULL; p++) {
		bool starts = p == whole || p[-1] == ' ';
		bool ends = p[len] == 0 || p[len] == ' ' || (p[len] == ',' && p[len + 1] == ' ');

		if (starts && ends)
			return true;
	}
	return false;
}

bool sm_calibration_concerns(const struct sm_calibration_row *c, const struct sm_metric *m)
{
	return is_part(m->event, c->label);
}

static int apply_row(struct sm_report *r, struct sm_metric *m, const struct sm_calibration_row *c)
{
	char text[200];

	if (strcmp(c->verdict, "off") == 0) {
		m->calibration = c->verdict;
		return 0;
	}
	if (strcmp(c->verdict, "reads 0") != 0 || !m->has_value)
		return 0;
	snprintf(text, sizeof(text), "calibration: %.40s never counts here (0 under '%.48s')",
		 c->event, c->kernel);
	m->reason = sm_pool_str(&r->pool, text);
	m->status = SM_STATUS_NOT_COUNTED;
	m->has_value = false;
	m->value = 0;
	return m->reason != NULL ? 0 : -ENOMEM;
}

int sm_calibration_apply(struct sm_report *r)
{
	int rc = 0;

	for (size_t k = 0; k < r->ncalibrations; k++) {
		const struct sm_calibration_row *c = &r->calibrations[k];

		if (strcmp(c->verdict, "off") != 0 && strcmp(c->verdict, "reads 0") != 0)
			continue;
		for (size_t i = 0; i < r->nrecords && rc == 0; i++) {
			struct sm_record *rec = &r->records[i];

			for (size_t m = 0; m < rec->nmetrics && rc == 0; m++) {
				if (sm_calibration_concerns(c, &rec->metrics[m]))
					rc = apply_row(r, &rec->metrics[m], c);
			}
		}
	}
	return rc;
}
