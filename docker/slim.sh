#!/bin/sh
# Leaves out of /venv what a running service never loads, and compiles the rest.
set -eu
cd /venv/lib/python3*/site-packages
# shellcheck disable=SC2046 # patterns, to be expanded
rm -rf $(grep -v '^#' /never-loaded.txt)
find . -type d -name tests -prune -exec rm -rf {} +
find . -type f -regex '.*\.\(a\|c\|cc\|cpp\|f90\|h\|inc\|proto\|pxd\|pyi\|pyx\)' -delete
strip --strip-debug PIL/*.so httptools/parser/*.so uvloop/*.so
python -m compileall -q -j 0 --invalidation-mode unchecked-hash .
