/*
 * malloc_life.c: a program that only knows malloc, for faults.sh, which preloads ours and lets
 * the system refuse this and that. Blocks of all sizes, four threads, a fork, memory given back.
 *
 * Status 0; 1 with one line when memory or a thread was refused. Aborts when a block is not whole,
 * or memory is refused with another errno than ENOMEM.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS	600
#define THREADS 4

struct block {
	unsigned char *p;
	size_t size;
};

static int refused; /* errno of the last refusal; written by whoever sees one */

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "malloc_life: damaged: %s\n", what);
	abort();
}

static void *got(void *p)
{
	if (p == NULL) {
		must(errno == ENOMEM, "refused without ENOMEM");
		__atomic_store_n(&refused, ENOMEM, __ATOMIC_RELAXED);
	}
	return p;
}

static void take(struct block *b, unsigned i)
{
	b->size = i % 50 == 0 ? i * 2048 + 1 : i * 7 % 900 + 1;
	b->p = got(i % 7 == 0 ? calloc(1, b->size) : malloc(b->size));
	if (b->p != NULL)
		memset(b->p, (int)i, b->size);
}

/* Refused, it is as it was; a block that there was not is a new one. */
static void grow(struct block *b, unsigned i)
{
	unsigned char *p = got(realloc(b->p, b->size * 2));

	if (p == NULL)
		return;
	if (b->p != NULL)
		must(p[0] == (unsigned char)i && p[b->size - 1] == (unsigned char)i,
		     "what realloc moved");
	*b = (struct block){p, b->size * 2};
	memset(p, (int)i, b->size);
}

static void give(struct block *b, unsigned i)
{
	if (b->p != NULL)
		must(b->p[0] == (unsigned char)i && b->p[b->size - 1] == (unsigned char)i,
		     "a block");
	free(b->p);
}

static void *use(void *arg)
{
	static __thread struct block block[BLOCKS];

	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < BLOCKS; i++)
			take(&block[i], i);
		for (unsigned i = 0; i < BLOCKS; i += 3)
			grow(&block[i], i);
		for (unsigned i = 0; i < BLOCKS; i++)
			give(&block[i], i);
	}
	malloc_trim(0);
	return arg;
}

static void in_child(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		use(NULL);
		_exit(refused != 0);
	}
	if (pid < 0) {
		fprintf(stderr, "malloc_life: fork: %s\n", strerror(errno));
		exit(1);
	}
	must(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) <= 1,
	     "the child");
	if (WEXITSTATUS(status) != 0)
		refused = ENOMEM;
}

int main(void)
{
	pthread_t t[THREADS];
	int made = 0, err = 0;

	use(NULL);
	while (made < THREADS && (err = pthread_create(&t[made], NULL, use, NULL)) == 0)
		made++;
	use(NULL);
	for (int i = 0; i < made; i++)
		pthread_join(t[i], NULL);
	in_child();
	if (err != 0)
		fprintf(stderr, "malloc_life: pthread_create: %s\n", strerror(err));
	else if (refused != 0)
		fprintf(stderr, "malloc_life: malloc: %s\n", strerror(refused));
	return err != 0 || refused != 0;
}
