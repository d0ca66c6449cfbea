// Sized, aligned, nothrow operators and containers: built and run by test_preload.sh.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

struct alignas(128) wide {
	char bytes[256];
};

static thread_local std::vector<std::string> words; // freed by a thread-local destructor

static void work(unsigned seed)
{
	std::map<unsigned, std::string> m;
	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 1103515245u + 12345u;
		m[seed % 1000] += std::string(seed % 37, 'x');
		if (seed % 5 == 0)
			m.erase(seed % 1000);
	}
	for (unsigned i = 0; i < 100; i++)
		words.emplace_back(i * 3, 'y');
}

// Each form by its name, for which of them a compiler takes differs.
static void every_delete()
{
	constexpr std::align_val_t align{128};
	constexpr std::size_t size = 256;

	::operator delete(::operator new(size), size);
	::operator delete[](::operator new[](size), size);
	::operator delete(::operator new(size, align), align);
	::operator delete[](::operator new[](size, align), align);
	::operator delete(::operator new(size, align), size, align);
	::operator delete[](::operator new[](size, align), size, align);
	::operator delete(::operator new(size, align, std::nothrow), align, std::nothrow);
	::operator delete[](::operator new[](size, align, std::nothrow), align, std::nothrow);
}

int main()
{
	for (int i = 0; i < 1000; i++)
		every_delete();
	for (int i = 0; i < 1000; i++) {
		std::unique_ptr<wide> w(new wide);
		std::unique_ptr<wide[]> a(new wide[3]);
		if (reinterpret_cast<std::uintptr_t>(w.get()) % 128 != 0 ||
		    reinterpret_cast<std::uintptr_t>(a.get()) % 128 != 0)
			return 1;
	}
	wide *n = new (std::nothrow) wide;
	delete n;
	try {
		volatile std::size_t huge = SIZE_MAX / 2;
		char *p = new char[huge];
		std::printf("%p\n", static_cast<void *>(p));
		return 1;
	} catch (const std::bad_alloc &) {
	}
	std::vector<std::thread> t;
	for (unsigned i = 0; i < 6; i++)
		t.emplace_back(work, i);
	for (auto &x : t)
		x.join();
	std::puts("operators: ok");
	return 0;
}
