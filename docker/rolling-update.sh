#!/usr/bin/env bash
# Replaces every replica of `api` by a new container, one at a time, while HAProxy goes on answering.
#
#   docker compose build api                # or pull, or change .env
#   docker/rolling-update.sh
#
# A new one starts first and must become healthy; then an old one gets no more calls, finishes those it has,
# and goes. If a new one does not become healthy, it is removed, the old ones stay, and the exit code is 1.
# HEALTHY_SECONDS (default 120) is how long that may take. One more replica than usual needs room meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
export PUBLISH_PORT=0 # a free port for each: the new one starts beside the old ones
healthy_seconds=${HEALTHY_SECONDS:-120}
slot=

compose() { docker compose --profile scale "$@"; }

fail() {
    printf 'rolling-update: %s\n' "$*" >&2
    exit 1
}

# haproxy COMMAND: what HAProxy answers to it
haproxy() {
    compose exec -T proxy bash -c 'exec 3<>/dev/tcp/127.0.0.1/9999 && printf "%s\n" "$1" >&3 && cat <&3' - "$1"
}

replicas() { compose ps --quiet api; }

address() { docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1"; }

# slot_of ADDRESS: the server of HAProxy that has it
slot_of() { haproxy 'show servers state replicas' | awk -v address="$1" '$5 == address { print $2 "/" $4 }'; }

# up ADDRESS: whether HAProxy sends calls there (running, and no administrative state)
up() { haproxy 'show servers state replicas' | awk -v address="$1" '$5 == address && $6 == 2 && $7 == 0 { found = 1 } END { exit !found }'; }

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}

is_healthy() { [[ $(docker inspect --format '{{.State.Health.Status}}' "$1") == healthy ]]; }

# The slot would keep the state for the next container that gets it.
release_slot() { [[ -z $slot ]] || haproxy "set server $slot state ready" >/dev/null; }
trap release_slot EXIT

[[ -n $(compose ps --quiet proxy) ]] || fail "no proxy runs: start with PUBLISH_PORT=0 docker compose --profile scale up -d --scale api=3"
compose rm --force api >/dev/null 2>&1 # one that has ended would be started again in place of a new one
mapfile -t old < <(replicas)
((${#old[@]})) || fail "no replica of api runs"

for number in "${!old[@]}"; do
    began=$SECONDS
    before=$(replicas)
    count=$(($(wc -l <<<"$before") + 1))
    said=$(compose up --detach --no-deps --no-recreate --no-build --scale "api=$count" api 2>&1) ||
        fail "a new replica cannot be started: $said"
    new=$(grep -vxF -e "$before" <<<"$(replicas)") || fail "no new replica was made"
    if ! wait_for "$healthy_seconds" is_healthy "$new"; then
        docker logs --tail 20 "$new" >&2
        docker rm --force "$new" >/dev/null
        fail "the new replica was not healthy within $healthy_seconds s; the old ones serve"
    fi
    wait_for 30 up "$(address "$new")" || fail "HAProxy did not find the new replica within 30 s"

    slot=$(slot_of "$(address "${old[number]}")")
    [[ -z $slot ]] || haproxy "set server $slot state drain" >/dev/null
    docker stop "${old[number]}" >/dev/null
    docker rm "${old[number]}" >/dev/null
    release_slot
    slot=
    printf '%d of %d replaced in %d s\n' $((number + 1)) ${#old[@]} $((SECONDS - began))
done
