#!/usr/bin/env bash
# Builds the images, runs them as docker-compose.yml says, and looks at what they do: make image-check
#
#   docker/image-check.sh [api] [scale] [train] [gpu]      these parts; without a name, all of them
#
# api     one container: its four answers, what it may do, its end under load
# scale   three replicas behind HAProxy: one killed, all replaced, none left
# train   a tiny run into the models volume, served by a container that is not restarted
# gpu     the GPU image where there is no GPU
#
# It needs Docker, .venv (make .venv/dev) and, to build, a package index. One line a check; the exit code is 1 if one
# failed. Everything it starts has a project name of its own and is gone at the end; images stay.
# IMAGE is the images' name (default harmonium), BUILD_OPTIONS are further words for docker build.
set -euo pipefail
cd "$(dirname "$0")/.."
export IMAGE=${IMAGE:-harmonium} COMPOSE_PROJECT_NAME=harmonium-check-$$
export PUBLISH_ADDRESS=127.0.0.1 PUBLISH_PORT=0 PUBLISH_PORT_PROXY=0 # free ports
python=.venv/bin/python
failed=0
started=() # containers outside of compose
scratch=$(mktemp -d)

compose() { docker compose --profile scale --profile train "$@"; }

clean_up() {
    ((${#started[@]} == 0)) || docker rm --force --volumes "${started[@]}" >/dev/null 2>&1 || true
    compose down --volumes --timeout 5 >/dev/null 2>&1 || true
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# check WHAT COMMAND...: run it and show what it says (of much, the end), marked by how it ended
check() {
    local what=$1 began=$SECONDS mark=ok
    shift
    if ! "$@" >"$scratch/said" 2>&1; then
        mark=FAILED
        failed=1
    fi
    printf '%-6s %s (%d s)\n' "$mark" "$what" $((SECONDS - began))
    tail -n 40 "$scratch/said" | cut -c 1-300 | sed 's/^/         /'
    [[ $mark == ok ]]
}

# quietly COMMAND...: what it says is shown only if it fails
quietly() {
    local output
    output=$("$@" 2>&1) || {
        printf '%s\n' "$output"
        return 1
    }
}

# within SECONDS COMMAND...: until the command succeeds
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}

port_of() { compose port "$1" "$2" | sed 's/.*://'; }

load() { "$python" -m tests.docker.load "$@"; }

build() {
    # shellcheck disable=SC2086 # words
    quietly docker build ${BUILD_OPTIONS:-} --file docker/Dockerfile --target "$1" --tag "$IMAGE:$1" . || return 1
    docker image inspect --format '{{.Size}}' "$IMAGE:$1" | awk '{ printf "%.0f MB\n", $1 / 1e6 }'
}

# --- api ---------------------------------------------------------------------------------------------------------------

start_api() { quietly compose up --detach --no-build --wait api; }

# Clients in the container's network see the port itself, without what publishes it.
stop_under_load() {
    local api clients
    api=$(compose ps --quiet api)
    mkfifo "$scratch/told"
    docker run --rm --interactive --network "container:$api" --entrypoint python \
        --volume "$PWD/tests:/app/tests:ro" --volume "$PWD/docs/examples:/app/docs/examples:ro" \
        "$IMAGE:cpu" -m tests.docker.load 8000 <"$scratch/told" >"$scratch/clients" 2>&1 &
    clients=$!
    exec 3>"$scratch/told"
    within 60 grep -qx calling "$scratch/clients" || { cat "$scratch/clients"; return 1; }
    echo the end begins >&3
    docker stop "$api" >/dev/null
    exec 3>&-
    wait "$clients" || { cat "$scratch/clients"; return 1; }
    grep -vx calling "$scratch/clients"
    docker inspect --format 'exit code of the service: {{.State.ExitCode}}' "$api"
    [[ $(docker inspect --format '{{.State.ExitCode}}' "$api") == 0 ]]
}

stop_at_once() {
    local early
    early=$(compose run --detach --no-deps api)
    started+=("$early")
    local began=$SECONDS
    docker stop "$early" >/dev/null
    ((SECONDS - began < 5))
}

part_api() {
    check 'cpu image builds' build cpu || return 0
    check 'api is healthy after docker compose up' start_api || return 0
    check 'answers' "$python" -m tests.docker.answers "$(port_of api 8000)"
    check 'what a process in it may do' docker exec -i "$(compose ps --quiet api)" python - <tests/docker/inside.py
    check 'stops under load: none of the accepted calls is lost' stop_under_load
    check 'stops at once while it still starts' stop_at_once
    compose down --volumes >/dev/null 2>&1
}

# --- scale -------------------------------------------------------------------------------------------------------------

up() { docker compose --profile scale up --detach --no-build --wait "$@"; }

a_replica() { compose ps --quiet api | sed -n "${1}p"; }

# A process cannot kill PID 1 of its own container, so this one sees those of the host. Docker starts the service again.
kill_process() {
    docker run --rm --pid host --user 10001 --entrypoint python "$IMAGE:cpu" -c 'import os, sys; os.kill(int(sys.argv[1]), 9)' \
        "$(docker inspect --format '{{.State.Pid}}' "$1")"
}

all_healthy() { [[ $(docker ps --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" \
    --filter label=com.docker.compose.service=api --filter health=healthy | wc -l) == "$1" ]]; }

export -f up kill_process # for the shells that run beside the load

no_replica() {
    compose stop --timeout 5 api >/dev/null 2>&1
    curl --silent --include --max-time 10 --data '{}' "http://127.0.0.1:$1/v1/generate" | tr -d '\r' >"$scratch/answer"
    grep -Ei '^(HTTP|retry-after|content-type)|detail' "$scratch/answer"
    for expected in '^HTTP/1.1 503' '^retry-after: 1$' '^content-type: application/problem+json$'; do
        grep -qi "$expected" "$scratch/answer" || return 1
    done
}

part_scale() {
    check 'cpu image builds' build cpu || return 0
    check 'three replicas and HAProxy are healthy' quietly up --scale api=3 || return 0
    local port
    port=$(port_of proxy 8080)
    check 'answers through HAProxy' "$python" -m tests.docker.answers "$port"
    check '32 MB in a call' load "$port" --clients 2 --heavy 33000000 -- true
    check 'a container killed under load' load "$port" -- docker kill "$(a_replica 1)"
    quietly up --scale api=3
    check 'the process of one killed under load' load "$port" -- bash -c "kill_process $(a_replica 2)"
    check 'and started again by Docker' within 60 all_healthy 3
    check 'five replicas instead of three' load "$port" -- bash -c 'up --scale api=5'
    check 'two replicas instead of five' load "$port" -- bash -c 'up --scale api=2'
    check 'both replaced, one by one, with calls of 5 MB' load "$port" --heavy 5000000 -- docker/rolling-update.sh
    check 'none left: refused, with a time to come back' no_replica "$port"
    compose down --volumes >/dev/null 2>&1
}

# --- train -------------------------------------------------------------------------------------------------------------

train() { quietly compose run --rm train run movies-rbm --synthetic --models /models --name toy --set steps=5; }

served() { curl --silent --fail --json '{"model": "toy", "users": [{}]}' "http://127.0.0.1:$1/v1/recommend"; }

part_train() {
    check 'cpu image builds' build cpu || return 0
    check 'train image builds' build train || return 0
    check 'says what it can train' quietly compose run --rm train
    check 'api is healthy' start_api || return 0
    local port began
    port=$(port_of api 8000)
    began=$(docker inspect --format '{{.State.StartedAt}}' "$(compose ps --quiet api)")
    check 'a version is trained and published' train
    check 'and served' within 30 served "$port"
    check 'by a service that was not restarted' \
        test "$began" = "$(docker inspect --format '{{.State.StartedAt}}' "$(compose ps --quiet api)")"
    compose down --volumes >/dev/null 2>&1
}

# --- gpu ---------------------------------------------------------------------------------------------------------------

without_gpu() {
    docker run --detach --init --read-only --tmpfs /tmp:size=64m --cap-drop ALL --security-opt no-new-privileges \
        --env HARMONIUM_DEVICE="$1" "$IMAGE:gpu"
}

ready() { docker exec "$1" python -m service.probe || true; }

# says CONTAINER PATTERN: what its /readyz answers matches
says() { ready "$1" | grep -E "$2"; }

part_gpu() {
    check 'gpu image builds' build gpu || return 0
    local cuda auto
    cuda=$(without_gpu cuda)
    auto=$(without_gpu auto)
    started+=("$cuda" "$auto")
    within 60 says "$cuda" refused || true
    within 60 says "$auto" '"ready":true' || true
    check 'without a GPU, cuda is refused with the reason' says "$cuda" '"ready":false.*HARMONIUM_DEVICE is cuda, but'
    check 'and auto serves on the CPU' says "$auto" '"ready":true.*"device":"cpu"'
    check 'and says so in the log' bash -c "docker logs $auto 2>&1 | grep -E -m 1 'WARNING .*CPU'"
}

parts=("$@")
((${#parts[@]})) || parts=(api scale train gpu)
for part in "${parts[@]}"; do
    declare -F "part_$part" >/dev/null || { echo "there is no part $part: api, scale, train, gpu" >&2; exit 2; }
done
for part in "${parts[@]}"; do
    printf -- '--- %s\n' "$part"
    "part_$part" || true # `failed` tells, and the next part is worth a look in any case
done
((failed == 0)) && echo "all right, $SECONDS s" || echo "something failed, $SECONDS s"
exit "$failed"
