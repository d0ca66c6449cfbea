// What C++ does to threads with mutators: exceptions through frames that hold objects, blocking sections left by a
// destructor, thread_local variables that use the mutator when the thread ends, threads that end attached, static
// destructors after main. Prints "ok".
#include <spanmark/gc.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

struct node {
	node *next;
	unsigned long id, canary;
};

static sm_gc *gc;
static const sm_type *node_type;

static void must(bool ok, const char *what)
{
	if (!ok) {
		std::fprintf(stderr, "FAIL: %s\n", what);
		std::_Exit(1);
	}
}

static node *list(sm_mutator *m, unsigned long id, int n)
{
	node *head = nullptr;

	while (n-- > 0) {
		node *o = static_cast<node *>(sm_new(m, node_type));

		must(o != nullptr, "sm_new");
		o->id = id;
		o->canary = id * 77;
		sm_store(m, reinterpret_cast<void **>(&o->next), head);
		head = o;
	}
	return head;
}

static void check(const node *head, unsigned long id, int n, const char *what)
{
	for (; head; head = head->next, n--)
		must(head->id == id && head->canary == id * 77, what);
	must(n == 0, what);
}

class attached {
      public:
	attached() : m(sm_mutator_attach(gc)) { must(m != nullptr, "attach"); }
	~attached() { sm_mutator_detach(m); }
	attached(const attached &) = delete;
	attached &operator=(const attached &) = delete;
	sm_mutator *const m;
};

class blocking {
      public:
	explicit blocking(sm_mutator *of) : m(of) { sm_blocking_enter(m); }
	~blocking() { sm_blocking_leave(m); }
	blocking(const blocking &) = delete;
	blocking &operator=(const blocking &) = delete;

      private:
	sm_mutator *const m;
};

// Throws out of a blocking section, through frames that hold objects.
static void thrower(sm_mutator *m, int depth)
{
	node *mine = list(m, static_cast<unsigned long>(depth), 10);

	if (depth == 0) {
		blocking b(m);
		sm_collect(gc, m);
		throw std::runtime_error("out of a blocking section");
	}
	try {
		thrower(m, depth - 1);
	} catch (...) {
		check(mine, static_cast<unsigned long>(depth), 10, "a frame while an exception passes");
		if (depth % 10 == 0)
			sm_collect(gc, m);
		throw;
	}
}

static void exceptions()
{
	attached a;
	node *keep = list(a.m, 1, 500);
	int caught = 0;

	for (int i = 0; i < 20; i++) {
		try {
			thrower(a.m, 30);
		} catch (const std::runtime_error &) {
			caught++;
		}
		sm_safepoint(a.m);
	}
	must(caught == 20, "every exception arrives");
	check(keep, 1, 500, "a list over exceptions");
}

// Its destructor runs before the library's, so the mutator is still there, although it is not detached.
struct last_words {
	node *kept = nullptr;
	~last_words()
	{
		sm_mutator *m = sm_mutator_current(gc);

		if (kept == nullptr)
			return;
		must(m != nullptr, "the mutator in a thread_local destructor");
		check(kept, 7, 100, "what a thread_local variable keeps");
		check(list(m, 8, 100), 8, 100, "a list made by a thread_local destructor");
		sm_thread_range_remove(m, &kept);
	}
};
static thread_local last_words words;

// Attaches and never detaches.
static void ends_attached()
{
	sm_mutator *m = sm_mutator_attach(gc);

	must(m != nullptr && sm_mutator_attach(gc) == m, "attach twice");
	// A thread_local variable lies in the thread's stack on some systems only.
	sm_thread_range_add(m, &words.kept, sizeof(words.kept));
	words.kept = list(m, 7, 100);
	for (int i = 0; i < 100; i++)
		list(m, 9, 100);
	try {
		thrower(m, 5);
	} catch (const std::exception &) {
	}
}

static void threads()
{
	attached a;

	for (int round = 0; round < 10; round++) {
		std::vector<std::thread> all;
		blocking b(a.m);

		for (int i = 0; i < 4; i++)
			all.emplace_back(ends_attached);
		for (auto &t : all)
			t.join();
		must(sm_collect(gc, a.m) == 0, "a collection after threads that ended attached");
	}
}

// Made before main and destroyed after it: ends the collector then.
class collector {
      public:
	collector()
	{
		sm_gc_config cfg;
		char err[200];

		sm_gc_config_init(&cfg);
		must(sm_gc_config_set(&cfg, "gc.verify", "1", err, sizeof(err)) == 0, err);
		must(sm_gc_config_set(&cfg, "gc.min_heap", "1m", err, sizeof(err)) == 0, err);
		gc = sm_gc_create(&cfg, err, sizeof(err));
		must(gc != nullptr, err);
		node_type = sm_type_prefix(gc, sizeof(node), 1);
	}
	~collector()
	{
		struct sm_gc_stats s;
		sm_mutator *m = sm_mutator_current(gc);

		must(m != nullptr, "main's mutator after main");
		check(kept, 3, 200, "what a handle keeps after main");
		check(list(m, 4, 100), 4, 100, "a list made after main");
		sm_handle_free(m, handle);
		must(sm_collect(gc, m) == 0, "a collection after main");
		sm_gc_stats(gc, &s);
		must(s.verify_errors == 0, "the verifier");
		sm_mutator_detach(m);
		sm_gc_destroy(gc);
		std::puts("ok");
	}
	node *kept = nullptr;
	sm_handle *handle = nullptr;
};
static collector whole;

int main()
{
	exceptions();
	threads();
	sm_mutator *m = sm_mutator_attach(gc);
	whole.kept = list(m, 3, 200);
	whole.handle = sm_handle_new(m, whole.kept);
	must(whole.handle != nullptr, "a handle");
	return 0;
}
