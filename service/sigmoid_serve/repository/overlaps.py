"""Candidates that are the same files, or that give two models one name."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sigmoid_models.messages import one_line
from sigmoid_serve.repository.candidates import Candidate
from sigmoid_serve.repository.load_problems import load_problem
from sigmoid_serve.repository.naming import is_name
from sigmoid_serve.repository.places import real


def without_repeats(
    candidates: Sequence[Candidate], named: Iterable[Path]
) -> list[Candidate]:
    """Leave out links that were found in a folder and lead to another candidate.

    Args:
        candidates: All of them.
        named: The files and folders that were named.
    """
    known = {real(path) for path in named}
    for candidate in candidates:
        # A model whose own name is not allowed may be served under that of a link.
        is_usable = candidate.is_model and is_name(candidate.name)
        if is_usable and not _is_found_link(candidate):
            known.update(_places(candidate))
    kept = []
    for candidate in candidates:
        if not _is_found_link(candidate):
            kept.append(candidate)
            continue
        target = real(candidate.place)
        is_loop = Path(real(candidate.place.parent)).is_relative_to(target)
        kept.append(_repeat(candidate) if is_loop or target in known else candidate)
        known.add(target)
    return kept


def without_stores(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Do not list folders that are no models, but only hold files that are served."""
    folders = {
        str(folder)
        for candidate in candidates
        for file in candidate.files
        for folder in Path(real(file.path)).parents
    }
    return [
        _unlisted(candidate)
        if not candidate.files and real(candidate.place) in folders
        else candidate
        for candidate in candidates
    ]


def without_clashes(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Serve no model whose name is given by two candidates."""
    firsts: dict[str, Candidate] = {}
    seconds: dict[str, Candidate] = {}
    for candidate in candidates:
        if (
            candidate.files
            and firsts.setdefault(candidate.name, candidate) is not candidate
        ):
            seconds.setdefault(candidate.name, candidate)
    kept = [
        candidate._replace(files=()) if candidate.name in seconds else candidate
        for candidate in candidates
    ]
    return [*kept, *(_clash(firsts[name], seconds[name]) for name in seconds)]


def _is_found_link(candidate: Candidate) -> bool:
    place = candidate.place
    return not candidate.is_named and os.path.islink(place) and os.path.exists(place)


def _places(candidate: Candidate) -> Iterator[str]:
    """List the paths of a candidate, its versions and its files, without links."""
    yield real(candidate.place)
    for file in candidate.files:
        yield real(file.path)
        if os.path.isdir(candidate.place):
            yield real(file.path.parent)


def _repeat(candidate: Candidate) -> Candidate:
    finding, remedy = "it leads to what is there without it", "it is left out"
    note = load_problem(candidate.name, None, candidate.place, finding, remedy, "quiet")
    return Candidate(candidate.name, candidate.place, (), (note,))


def _unlisted(candidate: Candidate) -> Candidate:
    problems = [
        each._replace(severity="logged") if each.severity == "listed" else each
        for each in candidate.problems
    ]
    return candidate._replace(problems=tuple(problems))


def _clash(first: Candidate, second: Candidate) -> Candidate:
    path, other = second.files[0].path, first.files[0].path
    name, remedy = second.name, "rename or leave out one of them"
    finding = "another file or folder already gave a model this name"
    problem = load_problem(name, None, path, finding, remedy, "fatal")
    sentence = f"{path}: {other} already gave a model the name {name}; {remedy}"
    return Candidate(name, path, (), (problem._replace(sentence=one_line(sentence)),))
