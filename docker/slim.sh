#!/bin/sh
# slim.sh serve|train: leaves out of /venv what is not needed to run, and compiles the rest.
set -eu
cd /venv/lib/python3*/site-packages
case $1 in
serve)
    # shellcheck disable=SC2046 # patterns, to be expanded
    rm -rf $(grep -v '^#' /never-loaded.txt)
    find . -type f -regex '.*\.\(a\|c\|cc\|cpp\|f90\|h\|inc\|proto\|pxd\|pyi\|pyx\)' -delete
    ;;
train)
    rm -rf torch/include torch/test torch/bin/*[Tt]est* torch/bin/protoc*
    ;;
esac
find . -type d -name tests -prune -exec rm -rf {} +
strip --strip-debug PIL/*.so httptools/parser/*.so uvloop/*.so
# torch tests the syntax of newer Pythons in files that older ones cannot read.
python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x torch/testing/_internal .
