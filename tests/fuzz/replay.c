/* replay.c: runs a target over files, where there is no libFuzzer: a main for any compiler. */
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define MOST (1u << 20)

int main(int argc, char **argv)
{
	uint8_t *data;

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		size_t n;

		FUZZ_MUST(f != NULL);
		data = malloc(MOST);
		FUZZ_MUST(data != NULL);
		n = fread(data, 1, MOST, f);
		fclose(f);
		/* Memory that ends where the input ends. */
		data = realloc(data, n ? n : 1);
		printf("%s\n", argv[i]);
		fflush(stdout);
		LLVMFuzzerTestOneInput(data, n);
		free(data);
	}
	return 0;
}
