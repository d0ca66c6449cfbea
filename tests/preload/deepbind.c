#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(int c, char **a)
{
	void *h = dlopen("./plug.so", RTLD_NOW | RTLD_LOCAL | (c > 1 ? RTLD_DEEPBIND : 0));
	if (!h) {
		puts(dlerror());
		return 2;
	}
	char *(*mk)(void) = dlsym(h, "plug_make"), *(*du)(void) = dlsym(h, "plug_dup"),
	     *(*pr)(void) = dlsym(h, "plug_printf"), *(*gr)(char *) = dlsym(h, "plug_grow");
	void (*own)(void) = dlsym(h, "plug_own"), (*fr)(char *) = dlsym(h, "plug_free");
	own();
	puts("plug-in's own use ok");
	free(mk());
	puts("free of the plug-in's memory ok");
	free(du());
	free(pr());
	puts("free of libc's memory ok");
	fr(malloc(50));
	puts("our memory freed by the plug-in ok");
	free(gr(malloc(50)));
	puts("realloc ok");
	return 0;
}
