"""Harmonium over HTTP: bytes in, bytes out."""

import os

# onnxruntime reports what it runs to its maker and leaves a device id in HOME. It decides when it
# is first imported, so this stands before anything that could import it, whatever the caller set.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
