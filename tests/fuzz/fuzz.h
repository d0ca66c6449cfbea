/*
 * fuzz.h: what the fuzz targets share. A target is one file here, with the function that
 * libFuzzer calls; its seeds are text in corpus/NAME/.
 *
 *   make fuzz TIME=60              clang's libFuzzer, each target for so many seconds
 *   tests/fuzz/test_corpus.sh      every seed once, as built by any compiler: part of `make test`
 *
 * A target ends the process (FUZZ_MUST) for what must not happen; whatever else the input does is
 * fine.
 */
#ifndef SM_TESTS_FUZZ_FUZZ_H
#define SM_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_MUST(cond)                                                            \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

/* The input as a string that ends where its memory ends. The caller frees it. */
char *fuzz_text(const uint8_t *data, size_t size);
/* The input as a file: its path, good until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);
/* A refusal says why; sm_complain makes one line of it, whatever it quotes. */
void fuzz_reason(const char *err);

/* The input as decisions: bytes one after the other, 0 after the last. */
struct fuzz_bytes {
	const uint8_t *at, *end;
};
uint8_t fuzz_byte(struct fuzz_bytes *b);
/* Below 64^n, of n bytes: six bits each, so that seeds can be printable. */
uint32_t fuzz_number(struct fuzz_bytes *b, int n);

#endif
