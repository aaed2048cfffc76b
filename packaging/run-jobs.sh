#!/bin/sh
# Run what is due, every five minutes, until the container is stopped. `tallac run` runs a job only at its time, however often it is asked.
set -u

run=""
# A backup that is stopped ends cleanly, and the next one takes up what it has stored.
stop() {
    [ -z "$run" ] || kill -TERM "$run" 2>/dev/null
    wait
    exit 0
}
trap stop TERM INT

while :; do
    tallac run "$@" &
    run=$!
    wait "$run"
    sleep "${TALLAC_INTERVAL_SECONDS:-300}" &
    run=$!
    wait "$run"
done
