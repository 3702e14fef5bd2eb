"""The tests of HTTP through Ray's proxy."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from calling.environments import ROOT
from clustering import ClusterError
from clustering.cluster import config
from clustering.differences import DIFFERENCES, NOT_RUN
from clustering.native import compare
from clustering.scene import Scene
from faulting.findings import Finding
from faulting.load import Tally

_SETTINGS: Final = {"max_body_bytes": 200_000, "max_elements": 1000}
"""Those of the fixture `client` of the tests."""

_TEST_SECONDS: Final = 1800.0


def http(scene: Scene) -> list[Finding]:
    """Run the tests, then ask under a prefix, with a key, and with long bodies."""
    scene.show("http: the tests")
    scene.cluster.deploy(config(scene.replicas, {}, _SETTINGS))
    return [_tests(scene), compare(scene)]


def _tests(scene: Scene) -> Finding:
    report = scene.folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "tests", "--url", scene.cluster.url]
    command += ["-q", "--tb=short", "-p", "no:cacheprovider"]
    command += ["-p", "clustering.differences", f"--junitxml={report}"]
    command += [f"--ignore={folder}" for folder in NOT_RUN]
    try:
        outcome = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"the tests did not end in {_TEST_SECONDS:g} s") from None
    if not report.exists():
        raise ClusterError(f"the tests were not run:\n{outcome.stdout[-2000:]}")
    found = finding_of(report)
    found.require("pytest ends with 0", outcome.returncode, not outcome.returncode)
    reasons = [f"not run: {folder}: {reason}" for folder, reason in NOT_RUN.items()]
    reasons += [f"differ: {each.tests}: {each.reason}" for each in DIFFERENCES]
    found.note = "\n".join(reasons)
    return found


def finding_of(report: Path) -> Finding:
    """Read what pytest wrote with `--junitxml`."""
    ends, failed = Counter[str](), list[str]()
    for case in ElementTree.parse(report).iter("testcase"):
        ends[_end(case)] += 1
        if _end(case) == "failed":
            failed.append(f"{case.get('classname')}::{case.get('name')}")
    others = Counter({k: n for k, n in ends.items() if k in ("differ", "skipped")})
    found = Finding("tests of HTTP", Tally(ends.total(), ends["passed"], others))
    told = f"{len(failed)}: {', '.join(failed)}"[:600] if failed else "0"
    found.require("failed = 0", told, not failed)
    return found


def _end(case: ElementTree.Element) -> str:
    """Say how a test ended: `differ` where it failed as it should."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skip = case.find("skipped")
    if skip is None:
        return "passed"
    return "differ" if skip.get("type") == "pytest.xfail" else "skipped"
