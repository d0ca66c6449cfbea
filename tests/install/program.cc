// A program in C++ as a user of the library writes it, built against an installed tree by tests/cli/test_install.sh: a
// binary tree of collected nodes, a handle that keeps it, and the figures.
#include <spanmark/gc.h>
#include <spanmark/malloc.h>
#include <spanmark/stack.h>

#include <cstdio>
#include <memory>

namespace
{

struct node {
	node *left, *right;
	long value;
};

node *grow(sm_mutator *m, const sm_type *type, int depth, long value)
{
	auto *n = static_cast<node *>(sm_new(m, type));

	n->value = value;
	if (depth > 0) {
		sm_store(m, &n->left, grow(m, type, depth - 1, 2 * value));
		sm_store(m, &n->right, grow(m, type, depth - 1, 2 * value + 1));
	}
	return n;
}

long count(const node *n)
{
	return n ? 1 + count(n->left) + count(n->right) : 0;
}

} // namespace

int main()
{
	sm_gc_config cfg;
	char err[200];

	sm_gc_config_init(&cfg);
	cfg.verify = true;
	std::unique_ptr<sm_gc, void (*)(sm_gc *)> gc(sm_gc_create(&cfg, err, sizeof(err)), sm_gc_destroy);
	if (!gc) {
		std::fprintf(stderr, "%s\n", err);
		return 1;
	}
	sm_mutator *m = sm_mutator_attach(gc.get());
	const sm_type *type = sm_type_prefix(gc.get(), sizeof(node), 2);
	sm_handle *h = sm_handle_new(m, grow(m, type, 15, 1));

	for (int i = 0; i < 3; i++) {
		grow(m, type, 12, 1);
		sm_collect(gc.get(), m);
	}
	long n = count(static_cast<node *>(sm_handle_get(h)));
	struct sm_gc_stats stats;

	sm_gc_stats(gc.get(), &stats);
	sm_handle_free(m, h);
	sm_mutator_detach(m);
	std::printf("%ld nodes after %u cycles\n", n, stats.cycles);
	return n != 65535 || stats.verify_errors != 0;
}
