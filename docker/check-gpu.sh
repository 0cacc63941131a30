#!/usr/bin/env bash
# Checks the service on CUDA and measures it beside the CPU, on a host with an NVIDIA GPU, its driver, Docker and
# NVIDIA's container toolkit; README.md beside this file says what they must be.
#
#   docker/check-gpu.sh                              builds harmonium:gpu and checks it
#   IMAGE=registry.example/harmonium:gpu docker/check-gpu.sh   checks an image that is there
#   HARMONIUM_DEVICE=cpu docker/check-gpu.sh         the same with harmonium:cpu and no GPU, to try the script
#
# Prints a report in Markdown. The exit code is 0 only if every version runs on the device that was asked for and
# repeats its sample there, and the four calls are answered.
set -euo pipefail
cd "$(dirname "$0")/.."

device=${HARMONIUM_DEVICE:-cuda}
case $device in
    cuda) gpus=(--gpus all) target=gpu ;;
    cpu) gpus=() target=cpu ;;
    *) echo "HARMONIUM_DEVICE is $device, but this checks cuda or cpu." >&2 && exit 2 ;;
esac
if [ -z "${IMAGE:-}" ]; then
    IMAGE=harmonium:$target
    docker build --quiet --file docker/Dockerfile --target "$target" --tag "$IMAGE" .
fi
hardened=(--rm --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --env "HARMONIUM_DEVICE=$device")

failed=0
service=
trap '[ -z "$service" ] || docker stop "$service" >/dev/null' EXIT

echo "# $IMAGE on $device"
echo
if [ "$device" = cuda ]; then
    query="--query-gpu=name,driver_version,compute_cap,memory.total"
    docker run "${gpus[@]}" "${hardened[@]}" --entrypoint nvidia-smi "$IMAGE" "$query" --format=csv
    echo
fi

service=$(docker run "${gpus[@]}" "${hardened[@]}" --detach --publish 127.0.0.1::8000 "$IMAGE")
url=http://$(docker port "$service" 8000 | head -n 1)
if ! curl -fs --retry 120 --retry-delay 1 --retry-all-errors "$url/readyz" >/dev/null; then
    curl -s "$url/readyz" || true
    docker logs "$service" >&2
    echo "The service is not ready on $device." >&2
    exit 1
fi
echo "## The service"
echo
curl -fsS "$url/readyz"
echo
echo
curl -fsS "$url/v1/models" | docker exec --interactive --env "asked=$device" "$service" python -c '
import json, os, sys
print("| model | version | device | |\n|---|---|---|---|")
elsewhere = 0
for model in json.load(sys.stdin)["models"]:
    for version in model["versions"]:
        device = version.get("device", version["state"])
        elsewhere += device != os.environ["asked"]
        why = version.get("device_reason") or version.get("reason") or ""
        print("|", " | ".join([model["name"], str(version["version"]), device, why]), "|")
sys.exit(elsewhere > 0)
' || failed=1
echo
echo "| call | answer |"
echo "|---|---|"
call() {
    local path=$1 answer
    shift
    answer=$(curl -fsS --output /dev/null --write-out '%{http_code}, %{content_type}' "$@" "$url/v1/$path") || failed=1
    echo "| $path | $answer |"
}
call recommend --header 'Content-Type: application/json' --data '{"users": [{"liked": ["1214", "1240"]}]}'
call denoise --header 'Content-Type: image/png' --data-binary @docs/examples/noisy.png
call encode --header 'Content-Type: image/png' --data-binary @docs/examples/seven.png
call generate --header 'Content-Type: application/json' --data '{"class": 3, "seed": 7, "count": 16}'
echo
if [ "$device" = cuda ]; then
    docker exec "$service" nvidia-smi --query-gpu=memory.used --format=csv
    echo
fi
docker stop "$service" >/dev/null
service=

echo "## Every graph"
echo
docker run "${gpus[@]}" "${hardened[@]}" --volume "$PWD/benchmarks:/app/benchmarks:ro" --entrypoint python \
    "$IMAGE" -m benchmarks.graphs || failed=1
exit "$failed"
