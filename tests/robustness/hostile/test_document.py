"""The service does what its OpenAPI document says, by the judgement of a tool that knows nothing else about it."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.robustness.hostile.target import Target

ARGUMENTS = (
    *("--phases", "examples,coverage,fuzzing"),
    *("--checks", "all"),
    # What goes together, and what the pictures and the limits of this very service are, no schema can say.
    *("--exclude-checks", "positive_data_acceptance"),
    *("--generation-deterministic", "--max-examples", "60", "--no-color"),
)


def test_every_operation_keeps_what_the_document_promises(target: Target, tmp_path: Path) -> None:
    """No fault of the server; every status, type, header and body as documented; nothing taken that is not allowed."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "schemathesis.cli", "run", f"{target.url}/openapi.json", *ARGUMENTS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    paths = json.loads(target.send("GET", "/openapi.json").body)["paths"]
    operations = sum(map(len, paths.values()))
    assert re.findall(r"Tested: +(\d+)", run.stdout) == [str(operations)], run.stdout
    target.assert_lean()
    target.assert_well()
