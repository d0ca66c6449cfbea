# What R says of samples, for tests/harness/test_ranks.c to agree with. From the root:
#
#   Rscript tests/data/ranks.R > tests/data/ranks.inc
#
# Written by R 4.2.2. Values have 6 decimals, so no ties within a sample and the same doubles in C.

numbers <- function(v) paste(sprintf("%.17g", v), collapse = ", ")
entry <- function(kind, a, b, conf, estimate, low, high)
	cat(sprintf("{%s, %d, %d, {%s}, {%s}, %g, %s},\n", kind, length(a), length(b), numbers(a),
		if (length(b)) numbers(b) else "0", conf, numbers(c(estimate, low, high))))

set.seed(13)
draw <- list(
	function(n) round(rnorm(n, 0.02, 0.05), 6),
	function(n) round(rexp(n, 10) - 0.05, 6),
	function(n) round(ifelse(runif(n) < 0.5, 0, 0.3) + rnorm(n, 0, 0.01), 6)) # two modes

cat("/* Made by tests/data/ranks.R; see there. */\n")
for (n in c(6, 7, 10, 17, 30, 49)) for (d in draw) {
	x <- d(n)
	for (conf in c(0.95, if (n > 12) c(0.99, 0.9995))) {
		w <- wilcox.test(x, conf.int = TRUE, conf.level = conf, exact = TRUE)
		entry("SIGNED_RANK", x, c(), conf, w$estimate, w$conf.int[1], w$conf.int[2])
		r <- qbinom((1 - conf) / 2, n, 0.5) # the sign test: no function of R's own
		s <- sort(x)
		entry("SIGN", x, c(), conf, quantile(x, 0.5, type = 7), s[r], s[n + 1 - r])
	}
}
for (n in list(c(4, 4), c(5, 9), c(10, 10), c(12, 40), c(30, 31), c(49, 49))) for (d in draw) {
	a <- d(n[1])
	b <- d(n[2]) + 0.03
	for (conf in c(0.95, if (min(n) > 9) c(0.99, 0.9995))) {
		w <- wilcox.test(b, a, conf.int = TRUE, conf.level = conf, exact = TRUE)
		entry("RANK_SUM", a, b, conf, w$estimate, w$conf.int[1], w$conf.int[2])
	}
}
