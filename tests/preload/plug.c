#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
char *plug_make(void)
{
	char *p = malloc(100);
	strcpy(p, "made by the plug-in");
	return p;
}
char *plug_grow(char *p)
{
	return realloc(p, 5000);
}
void plug_free(char *p)
{
	free(p);
}
char *plug_dup(void)
{
	return strdup("libc's strdup");
}
char *plug_printf(void)
{
	char *s;
	if (asprintf(&s, "libc's asprintf %d", 5) < 0)
		return 0;
	return s;
}
void plug_own(void)
{
	char *p = strdup("x");
	free(p);
	char *l = NULL;
	size_t n = 0;
	FILE *f = fopen("/proc/self/status", "r");
	if (getline(&l, &n, f) < 0)
		abort();
	free(l);
	fclose(f);
}
