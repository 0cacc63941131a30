"""Data in, model version out. Needs torch; serving never does."""

import os

# onnxruntime reports to its makers from import on unless this stands before; training reports to nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
