#!/usr/bin/env bash
# Checks those files of docker/ that need no running engine. What a tool is missing for is skipped, and said to be.
set -euo pipefail
cd "$(dirname "$0")/.."

if docker compose version >/dev/null 2>&1; then
    for settings in /dev/null docker/.env.example; do # the defaults, and the example
        compose=(docker compose --env-file "$settings")
        "${compose[@]}" config --quiet
        for profile in $("${compose[@]}" config --profiles); do
            "${compose[@]}" --profile "$profile" config --quiet
        done
    done
else
    echo "skipped: docker compose is not installed, the compose file is not checked"
fi

if command -v promtool >/dev/null; then
    promtool check config --syntax-only docker/monitoring/prometheus.yml
    promtool check rules docker/monitoring/alerts.yml
else
    echo "skipped: promtool is not installed, Prometheus' configuration and alert rules are not checked"
fi
