# Hashes, strings, patterns, sorting, child processes.
use strict;
my %h;
$h{$_} = "x" x ($_ % 300) for 1 .. 60000;
delete $h{$_} for 1 .. 30000;
print scalar(keys %h), "\n";
my @s = sort { $b <=> $a } map { length } values %h;
print "$s[0] $s[-1]\n";
my $t = join ' ', 1 .. 50000;
my $n = () = $t =~ /\d+7\b/g;
print "$n\n";
for my $i (1 .. 5) {
	my $pid = fork();
	if ($pid == 0) { my @a = map { "child $_" } 1 .. 10000; exit(@a == 10000 ? $i : 0); }
	waitpid($pid, 0);
	print $? >> 8, "\n";
}
print `echo a program`;
