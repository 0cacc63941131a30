#!/usr/bin/env bash
# Whether docker compose accepts the compose file: with the defaults and with the example of settings, without a profile
# and with each. No engine is needed; without docker compose the check is skipped, and said to be.
set -euo pipefail
cd "$(dirname "$0")/.."

if docker compose version >/dev/null 2>&1; then
    for settings in /dev/null docker/.env.example; do
        compose=(docker compose --env-file "$settings")
        "${compose[@]}" config --quiet
        profiles=$("${compose[@]}" config --profiles)
        for profile in $profiles; do
            "${compose[@]}" --profile "$profile" config --quiet
        done
    done
else
    echo "skipped: docker compose is not installed, so docker-compose.yml is not checked"
fi
