"""Places that lead to the same files, or give two models one name."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sigmoid_models.messages import one_line
from sigmoid_serve.repository.candidates import Claim
from sigmoid_serve.repository.load_problems import trouble
from sigmoid_serve.repository.naming import is_name
from sigmoid_serve.repository.places import real


def without_repeats(claims: Sequence[Claim], named: Iterable[Path]) -> list[Claim]:
    """Make little of the links that were found and lead to what is there anyway.

    Args:
        claims: All of them.
        named: What was named: files and folders.
    """
    known = {real(path) for path in named}
    for claim in claims:
        # A place whose name is of no use may be served by that of a link.
        is_usable = claim.is_model and is_name(claim.name)
        if is_usable and not _is_found_link(claim):
            known.update(_places(claim))
    kept = []
    for claim in claims:
        if not _is_found_link(claim):
            kept.append(claim)
            continue
        target = real(claim.place)
        is_loop = Path(real(claim.place.parent)).is_relative_to(target)
        kept.append(_repeat(claim) if is_loop or target in known else claim)
        known.add(target)
    return kept


def without_stores(claims: Sequence[Claim]) -> list[Claim]:
    """Make little of a folder that is no model, but holds a file that is served."""
    folders = {
        str(folder)
        for claim in claims
        for source in claim.sources
        for folder in Path(real(source.path)).parents
    }
    return [
        _unlisted(claim)
        if not claim.sources and real(claim.place) in folders
        else claim
        for claim in claims
    ]


def without_clashes(claims: Sequence[Claim]) -> list[Claim]:
    """Serve no model whose name two places give."""
    firsts: dict[str, Claim] = {}
    seconds: dict[str, Claim] = {}
    for claim in claims:
        if claim.sources and firsts.setdefault(claim.name, claim) is not claim:
            seconds.setdefault(claim.name, claim)
    kept = [
        claim._replace(sources=()) if claim.name in seconds else claim
        for claim in claims
    ]
    return [*kept, *(_clash(firsts[name], seconds[name]) for name in seconds)]


def _is_found_link(claim: Claim) -> bool:
    place = claim.place
    return not claim.is_named and os.path.islink(place) and os.path.exists(place)


def _places(claim: Claim) -> Iterator[str]:
    """List what the place, its versions and its files really are."""
    yield real(claim.place)
    for source in claim.sources:
        yield real(source.path)
        if os.path.isdir(claim.place):
            yield real(source.path.parent)


def _repeat(claim: Claim) -> Claim:
    finding, remedy = "it leads to what is there without it", "it is left out"
    note = trouble(claim.name, None, claim.place, finding, remedy, "quiet")
    return Claim(claim.name, claim.place, (), (note,))


def _unlisted(claim: Claim) -> Claim:
    troubles = [
        each._replace(weight="logged") if each.weight == "listed" else each
        for each in claim.troubles
    ]
    return claim._replace(troubles=tuple(troubles))


def _clash(first: Claim, second: Claim) -> Claim:
    path, other = second.sources[0].path, first.sources[0].path
    name, remedy = second.name, "rename or leave out one of them"
    finding = "another file or folder already gave a model this name"
    fault = trouble(name, None, path, finding, remedy, "fatal")
    sentence = f"{path}: {other} already gave a model the name {name}; {remedy}"
    return Claim(name, path, (), (fault._replace(sentence=one_line(sentence)),))
