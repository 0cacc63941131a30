#!/usr/bin/env bash
# Replaces every replica of `api` by a new container, one at a time, while HAProxy goes on answering.
#
#   docker compose build api                # or pull, or change .env
#   docker/rolling-update.sh
#
# A new one starts first and must become healthy; then an old one finishes what it has, and goes. If a new one does not
# become healthy, it is removed, the old ones stay, and the exit code is 1.
# HEALTHY_SECONDS (default 120) is how long that may take. One more replica than usual needs room meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
export PUBLISH_PORT=0 # a free port for each: the new one starts beside the old ones
healthy_seconds=${HEALTHY_SECONDS:-120}

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

# known ADDRESS: whether HAProxy sends calls there (column 5 is the address; 6 is 2 where the server runs)
known() { haproxy 'show servers state replicas' | awk -v a="$1" '$5 == a && $6 == 2 { found = 1 } END { exit !found }'; }

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
    wait_for 30 known "$(address "$new")" || fail "HAProxy did not find the new replica within 30 s"

    docker stop "${old[number]}" >/dev/null # it says that it leaves and goes on answering until HAProxy has noticed
    docker rm "${old[number]}" >/dev/null
    printf '%d of %d replaced in %d s\n' $((number + 1)) ${#old[@]} $((SECONDS - began))
done
