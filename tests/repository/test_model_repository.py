"""What lies in folders, as people and platforms leave it there, and what it means."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sigmoid_serve.configuration.settings import ServingError
from sigmoid_serve.registry.startup import read_at_startup
from sigmoid_serve.repository import roots
from sigmoid_serve.repository.candidates import LAYOUT
from sigmoid_serve.repository.model_repository import ScanResult, make_repository

M = "m/1/model.pt"


def lay(folder: Path, *entries: str) -> Path:
    """Make files, folders (`name/`), links (`name -> target`) and pipes (`name|`)."""
    for entry in entries:
        name, _, target = entry.partition(" -> ")
        path = folder / name.rstrip("|")
        path.parent.mkdir(parents=True, exist_ok=True)
        if target:
            path.symlink_to(target)
        elif name.endswith("/"):
            path.mkdir(exist_ok=True)
        elif name.endswith("|"):
            os.mkfifo(path)
        else:
            path.write_bytes(b"weights")
    return folder


def scanned(*paths: str | Path) -> ScanResult:
    return make_repository([Path(path) for path in paths], ()).scan()


def served(found: ScanResult) -> set[str]:
    return {f"{file.name}/{file.version}" for file in found.files}


def labels(found: ScanResult, *severities: str) -> set[str]:
    return {each.label for each in found.problems if each.severity in severities}


# What a folder holds beside m/1; what of it is served, listed, and only logged.
FOUND = {
    "lost+found": (["lost+found/"], "", "", "lost+found"),
    "what fsck saved": (["lost+found/#12/a"], "", "", "lost+found"),
    "an empty folder": (["empty/"], "", "", "empty"),
    "a folder of other things": (["docs/a.md", "docs/x/y/b"], "", "", "docs"),
    "a folder of years": (["logs/2024/a", "logs/2025/"], "", "", "logs"),
    "a year": (["2025/a.log"], "", "", "2025"),
    "folders in folders": (["a/b/c/1/model.pt"], "", "", "a"),
    "a file of another kind": (["README", "a.json", "m.onnx"], "", "", ""),
    "a pipe": (["p.pt|", "q|"], "", "", ""),
    "hidden": ([".git/1/model.pt", "._m.pt", "m/.2/model.pt"], "", "", ""),
    "a bad name": (["a b.pt", "é/1/model.pt"], "", "a b é", ""),
    "a bad name of nothing": (["a b/", "é/x"], "", "", "a b é"),
    "a reserved name": (["sigmoid.pt", "stats/1/model.pt"], "", "sigmoid stats", ""),
    "no version": (["x/model.safetensors"], "", "x", ""),
    "no version, another file": (["x/weights.pth"], "", "x", ""),
    "no number": (["x/v1/model.pt", "m/latest/model.pt"], "", "x/v1 m/latest", ""),
    "no version beside versions": (
        ["m/notes/a", "m/old.pt"],
        "",
        "",
        "m/notes m/old.pt",
    ),
    "an empty version": (["m/2/"], "", "m/2", ""),
    "only an empty version": (["x/1/"], "", "", "x"),
    "a version as a file": (["m/2", "x/1"], "", "", "x"),
    "several checkpoints": (["m/2/model.pt", "m/2/model.pth"], "", "m/2", ""),
    "a checkpoint by another name": (["m/2/m.pt", "x/1/x.pt"], "", "m/2 x/1", ""),
    "a folder as a checkpoint": (["m/2/model.pt/", "x.pt/"], "", "m/2", "x.pt"),
    "one value twice": (["x/1/model.pt", "x/01/model.pt"], "", "x", ""),
    "long numbers": (
        [f"x/{'9' * 30}/model.pt", "x/007/model.pt"],
        f"x/{'9' * 30} x/007",
        "",
        "",
    ),
    "too long a number": ([f"x/{'9' * 31}/model.pt"], "", f"x/{'9' * 31}", ""),
    "links that lead nowhere": (
        ["x -> gone", "y.pt -> gone", "m/2 -> gone"],
        "",
        "x y m/2",
        "",
    ),
    "a file that leads nowhere": (["m/2/model.pt -> gone"], "", "m/2", ""),
    "a loop": (["x -> x", "y -> z", "z -> y", "m/2 -> 2"], "", "x y z m/2", ""),
    "a way up": (["up -> ..", "me -> .", "m/up -> ..", "m/me -> ."], "", "", "m/up"),
    "the same model": (
        ["same -> m", "file.pt -> m/1/model.pt", "v -> m/1"],
        "",
        "",
        "",
    ),
    "the same version": (["m/latest -> 1", "m/2 -> 1"], "", "", ""),
    "the same checkpoint": (
        ["x/1/model.pt", "x/1/model.pth -> model.pt"],
        "x/1",
        "",
        "",
    ),
    "one file, two versions": (
        ["x/1/model.pt", "x/2/model.pt -> ../1/model.pt"],
        "x/1 x/2",
        "",
        "",
    ),
    "another model's version": (["x/1 -> ../m/1"], "x/1", "", ""),
    "a link to elsewhere": (["x -> ../out/x", "y.pt -> ../out/y"], "x/3 y/1", "", ""),
    "other suffixes": (
        ["a.ckpt", "b.bin", "c.PTH", "d/1/model.BIN"],
        "a/1 b/1 c/1 d/1",
        "",
        "",
    ),
    "other files": (["a.tar", "b.pth.tar", "c.onnx", "d"], "", "", ""),
    "a link by another name": (["now.v2 -> ../out/z.pt"], "now.v2/1", "", ""),
    "two links to one place": (["a -> ../out/x", "b -> ../out/x"], "a/3", "", ""),
    "a release link": (
        ["r/a/1/model.pt", "r/b/1/model.pt", "now -> r/b"],
        "now/1",
        "",
        "r",
    ),
    "a store of files": (
        ["store/a.pt", "store/b.pt", "x/1/model.pt -> ../../store/a.pt"],
        "x/1",
        "",
        "store",
    ),
    "a better name": (["a b/1/model.pt", "ab -> a b"], "ab/1", "", "a b"),
    "a mounted map": (
        ["..1/x.pt", "..data -> ..1", "x.pt -> ..data/x.pt"],
        "x/1",
        "",
        "",
    ),
    "a map of a folder": (
        ["..1/x/1/model.pt", "..data -> ..1", "x -> ..data/x"],
        "x/1",
        "",
        "",
    ),
    "a map as a version": (
        ["x/1/..1/model.pt", "x/1/..data -> ..1", "x/1/model.pt -> ..data/model.pt"],
        "x/1",
        "",
        "",
    ),
}


def words(text: str) -> set[str]:
    """Split into words, but for the one name with a space."""
    return {word.replace("a_b", "a b") for word in text.replace("a b", "a_b").split()}


@pytest.mark.parametrize("case", FOUND, ids=lambda case: case.replace(" ", "-"))
def test_what_is_found_beside_a_model(tmp_path: Path, case: str) -> None:
    entries, more, told, logged = FOUND[case]
    lay(tmp_path, "out/x/3/model.pt", "out/y", "out/z.pt")
    found = scanned(lay(tmp_path / "root", M, *entries))
    assert served(found) == {"m/1", *words(more)}
    assert labels(found, "listed") == words(told)
    assert labels(found, "logged") == words(logged)
    assert labels(found, "fatal") == set()
    for each in found.problems:
        assert str(tmp_path) not in each.reason
        assert each.sentence.startswith(str(tmp_path / "root"))


# Layout; what is named; what is served; or the sentence that stops the start.
NAMED = {
    "a file": (["a.pt"], ["a.pt"], "a/1"),
    "a model": ([M, "m/2/model.pt"], ["m"], "m/1 m/2"),
    "a model with foreign folders": ([M, "m/x/", "m/y/model.pt"], ["m"], "m/1"),
    "a model with a broken version": ([M, "m/2/", "m/3 -> no"], ["m"], "m/1"),
    "a root": ([M, "a.pt"], ["."], "a/1 m/1"),
    "a version": ([M], ["m/1"], "model/1"),
    "a slash at the end": ([M], ["m/"], "m/1"),
    "a dot": ([M], ["./m/."], "m/1"),
    "the way back": ([M, "x/"], ["m/1/.."], "m/1"),
    "roots": (["a/m.pt", "b/x.pt", "b/lost+found/"], ["b", "a"], "x/1 m/1"),
    "a link to a file": (["a.pt", "b.pt -> a.pt"], ["b.pt"], "b/1"),
    "a bare link to a file": (["a.pt", "v1.2 -> a.pt"], ["v1.2"], "v1.2/1"),
    "a file without a suffix": (["weights"], ["weights"], "weights/1"),
    "a file of another suffix": (["net.weights"], ["net.weights"], "net/1"),
    "a file of two suffixes": (["model.pth.tar"], ["model.pth.tar"], "model/1"),
    "a file of two of ours": (["a.pt.bin"], ["a.pt.bin"], "a.pt/1"),
    "a name of dots": (["my.net-2.pt"], ["my.net-2.pt"], "my.net-2/1"),
    "a link to a model": (["r/1/model.pt", "now -> r"], ["now"], "now/1"),
    "a link to a link": (["r/1/model.pt", "b -> r", "c -> b"], ["c"], "c/1"),
    "a link to a root": (["r/m.pt", "now -> r"], ["now"], "m/1"),
    "a link and its target": (["r/1/model.pt", "now -> r"], ["now", "r"], "now/1 r/1"),
    "a link and its folder": (["r/1/model.pt", "now -> r"], ["now", "."], "now/1 r/1"),
    "a link twice named": (["a.pt", "b.pt -> a.pt"], ["a.pt", "b.pt"], "a/1 b/1"),
    "a model of digits": (["2024/1/model.pt", M], ["."], "2024/1 m/1"),
    "a folder of digits": (["2024/a", M], ["."], "m/1"),
    "a file with a name": (["a b.pt"], ["x=a b.pt"], "x/1"),
    "a model with a name": ([M], ["x=m"], "x/1"),
    "a link with a name": ([M, "l -> m"], ["x=l"], "x/1"),
    "a root of one with a name": ([M, "lost+found/"], ["x=."], "x/1"),
    "a version with a name": ([M], ["x=m/1"], "x/1"),
    "one file by two names": (["a.pt"], ["x=a.pt", "y=a.pt"], "x/1 y/1"),
    "a path with a sign": (["a=b.pt"], ["a=b.pt"], "! a model cannot be called a=b"),
    "a named path with a sign": (["a=b.pt"], ["x=a=b.pt"], "x/1"),
    "a folder with a sign": (["k=v/m.pt"], ["k=v", "./k=v/m.pt"], "! already gave"),
    "a sign in a folder": (["k=v/m.pt"], ["./k=v/m.pt"], "m/1"),
    "nothing there": ([], ["gone.pt"], "! gone.pt: No such file"),
    "nothing there with a name": ([], ["x=gone.pt"], "! gone.pt: No such file"),
    "no name": (["a.pt"], ["=a.pt"], "! a model cannot be called ; use"),
    "no path": (["a.pt"], ["x="], "! x=: No such file"),
    "a bad name": (["a.pt"], ["a b=a.pt"], "! a model cannot be called a b; use"),
    "a reserved name": (["a.pt"], ["sigmoid=a.pt"], "! cannot be called sigmoid"),
    "many with one name": ([M, "a.pt"], ["x=."], "! its 2 models cannot have one name"),
    "an empty folder": (["x/"], ["x"], "! x: the folder has no model; expected NAME"),
    "an empty folder beside a model": (["x/", M], ["m", "x"], "! x: the folder has no"),
    "foreign folders only": (
        ["x/y/z"],
        ["x"],
        "! the folder has no model; y: the fold",
    ),
    "a link to nothing": (
        ["l -> gone"],
        ["l"],
        "! l: the link cannot be followed (No ",
    ),
    "a loop": (["l -> l"], ["l"], "! l: the link cannot be followed (Too many"),
    "a pipe": (["p.pt|"], ["p.pt"], "! p.pt: it is neither a file nor a folder"),
    "a folder below a file": (["a.pt"], ["a.pt/m"], "! a.pt/m: Not a directory"),
    "one value twice": (["m/1/model.pt", "m/01/model.pt"], ["m"], "! its versions 01"),
    "one value twice beside": (
        ["m/1/model.pt", "m/01/model.pt", "a.pt"],
        ["a.pt", "m"],
        "! m: its versions 01 and 1 are one number; remove one",
    ),
    "broken versions only": (["m/1/model.pt", "m/1/model.pth"], ["m"], "! 2 checkp"),
    "a name twice": (["x/m.pt", "y/m.pt"], ["x", "y"], "! x/m.pt already gave a model"),
    "a name twice in a folder": ([M, "m.pt"], ["."], "! already gave a model the name"),
    "a file twice": (
        ["m.pt"],
        ["m.pt", "./m.pt"],
        "! m.pt already gave a model the na",
    ),
    "two suffixes": (["m.pt", "m.safetensors"], ["."], "! already gave a model the na"),
    "a root in a folder": (["src/pkg/roots/m/1/model.pt", "src/x.py"], ["src"], "m/1"),
    "a root that deep": (["a/b/c/d/e/m/1/model.pt"], ["a"], "m/1"),
    "a root too deep": (["a/b/c/d/e/f/m/1/model.pt"], ["a"], "! a: the folder has no"),
    "two roots": (["t/a/m/1/model.pt", "t/b/c/n/2/model.pt"], ["t"], "m/1 n/2"),
    "a name in two roots": (
        ["t/a/m/1/model.pt", "t/b/m/2/model.pt"],
        ["t"],
        "! t/b/m/2/model.pt: t/a/m/1/model.pt already gave a model the name m",
    ),
    "a root of one model with a name": (["t/a/m/1/model.pt"], ["x=t"], "x/1"),
    "roots of many with one name": (
        ["t/a/m/1/model.pt", "t/b/n/1/model.pt"],
        ["x=t"],
        "! its 2 models cannot have one name",
    ),
    "a root beside a model": (["m.pt", "a/b/n/1/model.pt"], ["."], "m/1"),
    "a root in a root": (["t/r/m/1/model.pt", "t/r/x/y/n/1/model.pt"], ["t"], "m/1"),
    "files that are no root": (["t/a/b/c/m.pt", "t/a/x/y.bin"], ["t"], "! no model"),
    "roots that are not for models": (
        [
            "t/.git/r/m/1/model.pt",
            "t/node_modules/r/m/1/model.pt",
            "t/env/pyvenv.cfg",
            "t/env/lib/r/m/1/model.pt",
        ],
        ["t"],
        "! t: the folder has no model",
    ),
    "links in a folder of roots": (
        ["t/a/up -> ..", "t/a/b/me -> .", "t/a/b/n/1/model.pt", "t/a/no -> gone"],
        ["t"],
        "n/1",
    ),
    "a root by a link": (["out/r/m/1/model.pt", "t/a -> ../out"], ["t"], "! no model"),
}


@pytest.mark.parametrize("case", NAMED, ids=lambda case: case.replace(" ", "-"))
def test_what_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    layout, given, expected = NAMED[case]
    monkeypatch.chdir(lay(tmp_path, *layout))
    model_repository = make_repository([Path(text) for text in given], ())
    if expected.startswith("! "):
        with pytest.raises(ServingError) as caught:
            read_at_startup(model_repository)
        assert expected.removeprefix("! ") in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    else:
        contents, _ = read_at_startup(model_repository)
        assert {"/".join(content.file[:2]) for content in contents} == words(expected)


def test_a_folder_of_very_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "MOST_ENTRIES", 20)
    lay(tmp_path, *(f"t/a/{number}.txt" for number in range(20)), "t/b/r/m/1/model.pt")
    found = make_repository((tmp_path / "t",), ()).scan()
    assert served(found) == set()
    assert labels(found, "fatal") == {"t"}
    assert "entries were searched" in str([each.reason for each in found.problems])


def test_the_default_model_comes_first(tmp_path: Path) -> None:
    lay(tmp_path, "b/z.pt", "b/x.pt", "a/y.pt")
    paths = [tmp_path / "b", tmp_path / "a"]
    given = [file.name for file in make_repository(paths, ()).scan().files]
    assert given == ["x", "z", "y"]
    searched = [file.name for file in make_repository((), paths).scan().files]
    assert searched == ["x", "y", "z"]


def test_the_sentence_names_what_was_found(tmp_path: Path) -> None:
    broken = [f"r/m{number:02}/1/other.pt" for number in range(9)]
    lay(tmp_path, *broken, "r/lost+found/")
    with pytest.raises(ServingError) as caught:
        read_at_startup(make_repository((tmp_path / "r",), ()))
    message = str(caught.value)
    assert message.startswith("there is nothing to serve: ")
    assert f"{tmp_path / 'r'}/lost+found: the folder has no versions" in message
    assert f"{tmp_path / 'r'}/m03/1: it has 0 checkpoints" in message
    assert message.endswith("; and 5 more")


def test_a_link_is_followed_anew(tmp_path: Path) -> None:
    lay(tmp_path, "a/1/model.pt", "b/2/model.pt", "now -> a")
    model_repository = make_repository((tmp_path / "now",), ())
    assert served(model_repository.scan()) == {"now/1"}
    (tmp_path / "now").unlink()
    lay(tmp_path, "now -> b")
    assert served(model_repository.scan()) == {"now/2"}
    (tmp_path / "now").unlink()
    assert served(model_repository.scan()) == set()
    assert labels(model_repository.scan(), "fatal") == {"now"}


def test_the_current_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, "here/m.pt")
    monkeypatch.chdir(tmp_path / "here")
    named = [Path("m.pt"), Path()]
    assert served(make_repository(named[:1], ()).scan()) == {"m/1"}
    (tmp_path / "here" / "m.pt").unlink()
    (tmp_path / "here").rmdir()
    found = make_repository(named, ()).scan()
    assert served(found) == set()
    assert {each.reason for each in found.problems} >= {
        "No such file or directory; check the path"
    }


SCAN = """
import os, resource, sys
from pathlib import Path
from sigmoid_serve.repository import roots
from sigmoid_serve.repository.model_repository import make_repository, read_contents
exec(sys.argv[2])
files, problems = make_repository([Path(sys.argv[1])], ()).scan()
contents, unread = read_contents(files)
print(*sorted("/".join(content.file[:2]) for content in contents))
for each in [*problems, *unread]:
    print(each.severity, each.label, each.reason, sep=": ")
"""


AS_NOBODY = "os.setgroups([]); os.setgid(65534); os.setuid(65534)"
WITH_LITTLE_MEMORY = "resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))"


def scanned_by(folder: Path, how: str) -> list[str]:
    """Scan and read a folder in a process of its own."""
    outcome = subprocess.run(
        [sys.executable, "-c", SCAN, str(folder), how],
        capture_output=True,
        text=True,
        check=True,
    )
    return outcome.stdout.splitlines()


def test_a_file_that_is_larger_than_the_memory(tmp_path: Path) -> None:
    lay(tmp_path, M, "big.pt")
    os.truncate(tmp_path / "big.pt", 2**34)
    first, other = scanned_by(tmp_path, WITH_LITTLE_MEMORY)
    assert first == "m/1"
    assert other.startswith("listed: big/1: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_what_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:  # others may look into it
        os.chmod(folder, 0o755)
        assert_told_as_nobody(Path(folder))


def assert_told_as_nobody(folder: Path) -> None:
    lay(folder, M, "lost+found/", "shut/1/model.pt", "m/2/model.pt", "x/1/model.pt")
    lay(folder, "y.pt", "z.pt -> shut/1/model.pt", "m/3/model.pt", "n/old.pt")
    for name in ("lost+found", "shut", "m/2"):
        (folder / name).chmod(0o700)
    for name in ("x/1/model.pt", "y.pt"):
        (folder / name).chmod(0o600)
    (folder / "m" / "3").chmod(0o744)  # its files are seen, but not reached
    first, *others = scanned_by(folder, AS_NOBODY)
    assert first == "m/1"
    denied = "Permission denied; check the path"
    assert set(others) == {
        f"logged: lost+found: {denied}",
        f"listed: shut: {denied}",
        f"listed: m/2: {denied}",
        f"listed: m/3: {denied}",
        f"listed: x/1: {denied}",
        f"listed: y/1: {denied}",
        "listed: z: the link cannot be followed (Permission denied); mend or remove it",
        f"listed: n: the folder has no versions; {LAYOUT}",
    }
