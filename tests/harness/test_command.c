/* harness/program/command.c: command lines, and what takes a preload. */
#include "harness/program/command.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/run.h"
#include "tests/support/skip.h"

static char dir[] = "/tmp/spanmark-command-XXXXXX";

static void begin(void)
{
	ck_assert(mkdtemp(dir) != NULL);
}

static void end(void)
{
	char line[100];

	snprintf(line, sizeof(line), "rm -rf %s", dir);
	ck_assert_int_eq(system(line), 0);
}

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static int turn;
	char *p = path[turn++ % 4];

	snprintf(p, 128, "%s/%s", dir, name);
	return p;
}

static const char *write_file(const char *name, const char *text, size_t len, mode_t mode)
{
	const char *path = in_dir(name);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	ck_assert(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	fchmod(fd, mode);
	close(fd);
	return path;
}

START_TEST(test_words)
{
	static const char *const want[] = {"-c",  "a b",	"it's", "x y",	"$HOME",
					   "two", "\"quoted\"", "",	"-n=3", NULL};
	char **argv, err[300] = "";

	setenv("SM_TEST_WORD", "two", 1);
	ck_assert_msg(sm_command_split("--program",
				       "sh -c 'a b' \"it's\" x\\ y '$HOME' $SM_TEST_WORD "
				       "'\"quoted\"' '' -n=3",
				       &argv, err, sizeof(err)) == 0,
		      "%s", err);
	ck_assert_msg(argv[0][0] == '/' && strcmp(strrchr(argv[0], '/'), "/sh") == 0, "%s",
		      argv[0]);
	for (size_t i = 0; want[i] != NULL; i++)
		ck_assert_str_eq(argv[i + 1], want[i]);
	ck_assert_ptr_null(argv[10]);
	sm_argv_free(argv);
}
END_TEST

START_TEST(test_refusals)
{
	static const struct {
		const char *line, *says;
	} all[] = {
		{"", "no command"},
		{"   ", "no command"},
		{"sh -c 'x", "not closed"},
		{"sh | cat", "sh -c"},
		{"sh; cat", "sh -c"},
		{"sh `id`", "sh -c"},
		{"sh $(id)", "sh -c"},
		{"no-such-program-here x", "does not exist in any folder of PATH"},
		{"/no/such/program", "does not exist"},
		{"/etc/passwd", "may be executed"},
		{"/tmp", "may be executed"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char **argv, err[300] = "";

		ck_assert_int_eq(
			sm_command_split("--program", all[i].line, &argv, err, sizeof(err)),
			-EINVAL);
		ck_assert_msg(strstr(err, all[i].says) != NULL &&
				      strncmp(err, "--program '", 11) == 0,
			      "%s", err);
		ck_assert_ptr_null(argv);
	}
}
END_TEST

START_TEST(test_names)
{
	char name[64];

	sm_command_name("/usr/bin/redis-server", name, sizeof(name));
	ck_assert_str_eq(name, "redis-server");
	sm_command_name("a b,\n=c", name, sizeof(name));
	ck_assert_str_eq(name, "a_b___c");
}
END_TEST

/* What can take one: a program of this system, and a script of it. */
START_TEST(test_preload_taken)
{
	char why[300] = "", self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	ck_assert(n > 0);
	self[n] = 0;
	ck_assert_msg(sm_command_takes_preload(self, why, sizeof(why)), "%s", why);
	ck_assert_msg(sm_command_takes_preload(write_file("script", "#! /bin/sh -e\n", 14, 0755),
					       why, sizeof(why)),
		      "%s", why);
}
END_TEST

START_TEST(test_preload_refused)
{
	static char elf[1 << 24];
	char why[300], text[200];
	FILE *f = fopen("/proc/self/exe", "r");
	size_t n = f != NULL ? fread(elf, 1, sizeof(elf), f) : 0;
	const char *script;

	ck_assert(n > 4096 && n < sizeof(elf));
	fclose(f);
	for (unsigned char *p = (unsigned char *)elf + 64; p + 4 < (unsigned char *)elf + 1024;
	     p += 8) /* no PT_INTERP: as a static program */
		if (p[0] == 3 && !p[1] && !p[2] && !p[3])
			p[0] = 4;
	snprintf(text, sizeof(text), "#!%s\n", write_file("static", elf, n, 0755));
	ck_assert(!sm_command_takes_preload(in_dir("static"), why, sizeof(why)));
	ck_assert_msg(strstr(why, "static' is linked statically") != NULL, "%s", why);
	script = write_file("of-static", text, strlen(text), 0755);
	ck_assert(!sm_command_takes_preload(script, why, sizeof(why)));
	ck_assert_msg(strstr(why, "static' is linked statically") != NULL, "%s", why);
	snprintf(text, sizeof(text), "#!%s/loop\n", dir);
	ck_assert(!sm_command_takes_preload(write_file("loop", text, strlen(text), 0755), why,
					    sizeof(why)));
	ck_assert(
		!sm_command_takes_preload(write_file("text", "hello", 5, 0755), why, sizeof(why)));
	ck_assert(!sm_command_takes_preload("/no/such/file", why, sizeof(why)));
}
END_TEST

START_TEST(test_setuid)
{
	char why[300], line[300];
	const char *path = in_dir("rights");

	if (geteuid() != 0)
		SM_SKIP("only root can give a file another owner");
	snprintf(line, sizeof(line), "cp /proc/%d/exe %s", (int)getpid(), path);
	ck_assert_int_eq(system(line), 0);
	ck_assert(chown(path, 65534, 65534) == 0 && chmod(path, 0755) == 0);
	ck_assert(sm_command_takes_preload(path, why, sizeof(why)));
	ck_assert_int_eq(chmod(path, 04755), 0);
	ck_assert(!sm_command_takes_preload(path, why, sizeof(why)));
	ck_assert_msg(strstr(why, "rights' is setuid") != NULL, "%s", why);
	ck_assert_int_eq(chmod(path, 02755), 0);
	ck_assert(!sm_command_takes_preload(path, why, sizeof(why)));
	ck_assert_msg(strstr(why, "rights' is setgid") != NULL, "%s", why);
}
END_TEST

int main(void)
{
	return SM_SUITE_EACH("command", 30, begin, end, SM_T(test_words), SM_T(test_refusals),
			     SM_T(test_names), SM_T(test_preload_taken), SM_T(test_preload_refused),
			     SM_T(test_setuid));
}
