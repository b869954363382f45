# Counts with the help of children: a subshell a step, and one that lasts.
( for i in {1..150}; do sleep 0.02; done; echo "child done" >side.txt ) &
for i in {1..120}; do
	n=$(( $(echo "$i" | tr -d '\n') ))
	echo "$n"
	sleep 0.02
done
wait
cat side.txt
echo end
