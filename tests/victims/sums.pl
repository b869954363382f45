# A hash, a sort and closures, with short sleeps between.
use strict;
use warnings;
$| = 1;
my (%h, $s);
$s = 0;
my @f = map { my $k = $_; sub { ($_[0] * 31 + $k) % 1000003 } } 1 .. 7;
for my $i (1 .. 4_000_000) {
	$h{ $i % 5003 } += $i;
	$s = $f[ $i % 7 ]->( $s + $i );
	if ($i % 100_000 == 0) {
		print "$i\n";
		select(undef, undef, undef, 0.02);
	}
}
my $t = 0;
$t = ($t * 17 + $_ * $h{$_}) % 998244353 for sort { $a <=> $b } keys %h;
print "$s $t\n";
