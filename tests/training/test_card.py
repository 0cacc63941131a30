import re

from models.manifest import Baseline, Metric
from tests import versions
from training.card import card


def test_the_card_tells_what_the_manifest_holds() -> None:
    manifest, _ = versions.recommend(
        summary="Ranks films.",
        metrics=(
            Metric(
                name="NDCG@10",
                value=0.31416,
                standard_error=0.0123,
                better="higher",
                samples=1234,
                data="held-out users",
                protocol="fold-in",
                baselines=(
                    Baseline(name="popularity", value=0.1760, standard_error=0.02),
                    Baseline(name="chance", value=0.01),
                ),
            ),
        ),
    )
    text = card(manifest, "Commercial use.")
    assert text.startswith("# movies-rbm\n\nRanks films.\n")
    assert (
        "| NDCG@10 (higher is better) | **0.3142 ± 0.012** | popularity 0.176 ± 0.02; chance 0.01 "
        "| held-out users, 1,234 | fold-in |"
    ) in text
    assert "\n## Not for\n\nCommercial use.\n" in text
    assert "`python -m training run by-hand`: 3 steps" in text
    for value in (manifest.credit.data, manifest.credit.source, manifest.credit.licence, manifest.credit.citation):
        assert f": {value}\n" in text
    for key, value in manifest.made_by.settings.items():
        assert f"| `{key}` | {value} |" in text
    assert manifest.made_by.data_sha256 in text


def test_tables_are_whole() -> None:
    for build in (versions.recommend, versions.denoise, versions.encode_and_generate):
        manifest, _ = build()
        rows = [line for line in card(manifest, "Nothing.").splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3, 6}
