import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from benchmarks.served import serving
from models.store import Store
from tests.processes import ROOT, environment
from tests.versions import recommend

TOLD = {1: ["1196", "260"], 2: ["5"], 3: ["6"]}


def write(path: Path, rows: list[tuple[int, str, int]]) -> None:
    user, item, rating = zip(*rows, strict=True)
    table = {"user": np.array(user, np.uint16), "item": np.array(item, np.uint16), "rating": np.array(rating, np.uint8)}
    parquet.write_table(pa.table(table), path)


def test_the_price_is_measured_by_hand(tmp_path: Path) -> None:
    Store([tmp_path / "zoo"]).publish(*recommend())
    with serving(models=tmp_path / "zoo") as served:
        users = [{"liked": items} for items in TOLD.values()]
        answer = served.post("/v1/recommend", {"users": users})["users"]
        first, second, _ = [[item["item"] for item in user["items"]] for user in answer]
    write(tmp_path / "validation_users_foldin.parquet", [(user, item, 4) for user in TOLD for item in TOLD[user]])
    # The first user's ten are all right, of the second's only the one in the second place; the third likes none.
    targets = [*((1, item, 5) for item in first), (2, second[1], 4), (2, second[0], 3), (3, "7", 2)]
    write(tmp_path / "validation_users_targets.parquet", targets)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.knobs", str(tmp_path)],
        env=environment(tmp_path, HARMONIUM_MODELS=str(tmp_path / "zoo")),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    right = np.array([1, 1 / np.log2(3)])
    told = f"{right.mean():.4f} ± {right.std(ddof=1) / np.sqrt(2):.4f}"
    rows = re.findall(r"^\| ([\d.]+) \| ([\d.]+ ± [\d.]+) \| (-?[\d.]+ ± [\d.]+) \|", done.stdout, re.M)
    assert [value for value, _, _ in rows] == ["0", "0.1", "0.3", "0.5", "1"] * 2
    assert {row for row in rows if row[0] == "0"} == {("0", told, "0.0000 ± 0.0000")}
    assert float(rows[4][1][:6]) < right.mean()
    assert "movies-rbm, 2 users" in done.stdout
