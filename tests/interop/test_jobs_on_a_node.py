"""A job whose target is on a Tahoe-LAFS node, which has nothing that could be pruned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.interop.gateway import serving

if TYPE_CHECKING:
    from tests.command import Tallac


def test_a_job_on_a_node(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """It backs up, forgets, checks and tries a restore there, and leaves out the prune that comes with `keep`."""
    client = type(tallac)(tmp_path / "client")
    tallac("init")
    with serving(tallac) as gateway:
        client("create-alias", "node", "--node-url", gateway.url)
        file = client.home / "config" / "jobs.toml"
        file.write_text(
            f'[job.docs]\nsources = ["{source}"]\ntarget = "node:docs"\n'
            'keep = { last = 1 }\ncheck = "each run"\ndrill = "each run"\n'
        )
        file.chmod(0o600)
        client("-q", "run", "docs")
        (source / "more").write_text("more")
        ran = json.loads(client("--json", "run", "docs").lines[-1])
        steps = {step["step"]: step for step in ran["steps"]}
        assert {step["outcome"] for step in ran["steps"]} == {"ok"}
        assert steps["forget"]["counts"] == {"kept": 1, "forgotten": 1}
        assert steps["drill"]["counts"]["compared"] == steps["backup"]["counts"]["files"]
    log = (client.home / "state" / "jobs" / "docs" / "runs.jsonl").read_text()
    assert "not a vault, so there is nothing to prune" in log
