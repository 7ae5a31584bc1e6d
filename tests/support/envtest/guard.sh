# Runs a server ("$@") that must not outlive the test process, whatever becomes of that.
# Standard input is a pipe whose other end only the test process holds. Each line on it is the name of a
# signal for the server; its end, which comes even when the test process is killed, means KILL.
# The exit status is the server's. As the server's parent, this shell keeps its process id from being reused.
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{
    while read -r signal <&3; do kill -s "$signal" "$server"; done
    kill -s KILL "$server"
} 2>/dev/null &
guard=$!
exec 3<&-
wait "$server"
status=$?
kill -s KILL "$guard" 2>/dev/null
wait "$guard" 2>/dev/null
exit "$status"
