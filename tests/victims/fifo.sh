# awk reads a fifo that a shell writes to.
rm -f fifo
mkfifo fifo
( for i in {1..20000}; do
	echo "$i $((i * i % 977))"
	(( i % 200 )) || sleep 0.02
done >fifo ) &
echo begin
awk '{ s += $1 * $2; n[$2 % 13]++; if (NR % 2000 == 0) { print NR; fflush() } }
END { for (i = 0; i < 13; i++) printf "%d ", n[i]; printf "%d %.0f\n", NR, s }' <fifo
wait
