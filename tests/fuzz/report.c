/* report.c: see report.h. */
#include "tests/fuzz/report.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "harness/page/page.h"
#include "harness/report/writer.h"

const char report_environment[] =
	"{\"cpu_model\":\"Test CPU\",\"kernel\":\"6.1\",\"repetitions\":2,\"quick\":false,"
	"\"asked\":{\"workload\":\"graph\"},\"topology\":{\"cores\":4,\"nodes\":2},"
	"\"counters\":{\"passes\":1,\"chosen\":false,"
	"\"metrics\":[{\"metric\":\"ipc\",\"formula\":\"instructions / cycles\"}]}}";

const char report_job[] =
	"{\"workload\":\"graph\",\"backend\":\"gc\",\"params\":{},\"config\":{},\"placement\":{},"
	"\"group\":0,\"pass\":0,\"rep\":0,\"from\":\"none\",\"timeout_s\":1}";

const char report_wire[] =
	"{\"error\":\"\",\"results\":[{\"name\":\"wall_s\",\"unit\":\"s\",\"value\":1.25},"
	"{\"name\":\"gc_cycles\",\"unit\":\"cycles\",\"reason\":\"no collector\"}],"
	"\"metrics\":[{\"by\":\"role\",\"role\":\"mutator\",\"phase\":\"app\",\"metric\":"
	"\"cycles\","
	"\"event\":\"zen4::CYCLES\",\"value\":90071,\"unit\":\"cycles\",\"enabled_ns\":100,"
	"\"running_ns\":50},{\"by\":\"role\",\"role\":\"mark\",\"phase\":\"mark\",\"metric\":"
	"\"l1d_miss\",\"event\":\"x\",\"unit\":\"misses\",\"status\":\"denied\",\"reason\":"
	"\"paranoid\"}],\"output\":\"a line\\n\",\"warnings\":\"careful\\n\"}";

/* Whatever names a store has, the page has the one script that is ours. */
static void write_page(const struct sm_report *r)
{
	struct sm_side side = {.text = "1", .report = r};
	struct sm_page page = {.runs = &side, .nruns = 1};
	char *text = NULL, *script;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	FUZZ_MUST(f != NULL);
	if (sm_page_write(&page, f) == 0) {
		FUZZ_MUST(fflush(f) == 0);
		script = strstr(text, "<script");
		FUZZ_MUST(script != NULL && strstr(script + 1, "<script") == NULL);
		FUZZ_MUST(memchr(text, '\033', len) == NULL);
	}
	FUZZ_MUST(fclose(f) == 0);
	free(text);
}

void report_all(const struct sm_report *r)
{
	static const enum sm_format formats[] = {SM_FORMAT_TABLE, SM_FORMAT_CSV, SM_FORMAT_JSON};

	for (int i = 0; i < 3; i++) {
		struct sm_writer w = {.format = formats[i], .by = (enum sm_by)(r->nrecords % 6)};
		char *text = NULL;
		size_t len = 0;
		FILE *f = open_memstream(&text, &len);
		int rc;

		FUZZ_MUST(f != NULL);
		rc = sm_report_write(r, &w, f);
		FUZZ_MUST(fclose(f) == 0);
		/* What a program is to read is JSON whatever was in the store. */
		if (rc == 0 && formats[i] == SM_FORMAT_JSON) {
			cJSON *back = cJSON_ParseWithLength(text, len);

			FUZZ_MUST(back != NULL);
			cJSON_Delete(back);
		}
		/* No report moves a terminal's cursor, or colours it, by what it shows. */
		FUZZ_MUST(memchr(text, '\033', len) == NULL);
		free(text);
	}
	write_page(r);
}
