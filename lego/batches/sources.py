"""Where pictures come from: files, folders and patterns, each with the name that its result gets."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lego.batches.items import Item
from lego.core.codec import SUFFIXES, check_suffix
from lego.core.errors import SettingsError

WILD = "*?["
SHOWN = 5  # faults that a message lists
FORMATS = tuple(suffix[1:] for suffix in SUFFIXES)


def pictures(source: str, alone: bool, out: Path) -> list[tuple[Path, str]]:
    """Return the pictures of a file, a folder or a pattern, with their names below the output folder, sorted.

    A folder and a pattern keep the tree below them; the output folder itself is left out of it.

    Args:
        alone: nothing else was given; else a folder's own name goes before its tree.

    Raises:
        SettingsError: there is no such thing, or there are no pictures in it.
    """
    path = Path(source)
    if path.is_dir():
        found = list(_below(path, "" if alone else f"{path.resolve().name}/", out))
    elif path.exists():
        return [(path, path.name)]
    elif any(sign in source for sign in WILD):
        found = _matching(source, out)
    else:
        hint = "give pictures, folders, patterns in quotes ('photos/**/*.jpg') or a table; the instruction comes last"
        raise SettingsError("no such file or folder", where=source, hint=hint, code="cannot_open")
    if not found:
        raise SettingsError("there are no pictures", where=source, hint=f"{', '.join(SUFFIXES)}", code="no_pictures")
    return found


def _below(folder: Path, prefix: str, out: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not _within(path, out) and not _hidden(path, folder):
            yield path, prefix + path.relative_to(folder).as_posix()


def _matching(pattern: str, out: Path) -> list[tuple[Path, str]]:
    fixed = []
    for part in Path(pattern).parts:
        if any(sign in part for sign in WILD):
            break
        fixed.append(part)
    root = Path(*fixed)
    found = (Path(name) for name in sorted(glob.glob(pattern, recursive=True)))
    taken = (path for path in found if path.is_file() and path.suffix.lower() in SUFFIXES and not _within(path, out))
    return [(path, path.relative_to(root).as_posix()) for path in taken]


def named(items: Sequence[Item], form: str) -> list[Item]:
    """Give every output a suffix that can be written: that of the format, else its own, else PNG.

    Raises:
        SettingsError: unknown format.
    """
    if form and form.lower() not in FORMATS:
        raise SettingsError(f"cannot write '{form}'", where="--format", hint=", ".join(FORMATS), code="unknown_format")
    return [replace(item, output=_named(item.output, form)) for item in items]


def _named(output: str, form: str) -> str:
    path = Path(output)
    if form:
        return path.with_suffix(f".{form.lower()}").as_posix()
    return output if path.suffix.lower() in SUFFIXES else f"{output}.png"


def check_outputs(items: Sequence[Item], out: Path) -> None:
    """Find out before the work that results would overwrite each other, or what was given.

    Raises:
        SettingsError: with the first of them.
    """
    owner: dict[str, Item] = {}
    clashes = []
    for item in items:
        check_suffix(Path(item.output))
        other = owner.setdefault(item.output.casefold(), item)  # some file systems do not tell A from a
        if other is not item:
            clashes.append(f"{other.image} and {item.image} both give {item.output}")
    if clashes:
        more = f", and {len(clashes) - SHOWN} more" if len(clashes) > SHOWN else ""
        hint = "name the results in a table's column 'output', or leave out --format"
        raise SettingsError(
            f"results would overwrite each other: {'; '.join(clashes[:SHOWN])}{more}", hint=hint, code="collision"
        )
    given = {path.resolve() for item in items for path in item.files}
    for item in items:
        if (out / item.output).resolve() in given:
            raise SettingsError(
                "this would overwrite what was given",
                where=str(out / item.output),
                hint="choose another folder",
                code="overwrite",
            )


def masked(items: Sequence[Item], mask: Path) -> list[Item]:
    """Give every item its mask: the file, or that of the folder which is named like the picture.

    Raises:
        SettingsError: there is none for some picture.
    """
    if mask.is_file():
        return [replace(item, mask=item.mask or mask) for item in items]
    found = []
    for item in items:
        names = [Path(item.output).with_suffix(suffix) for suffix in SUFFIXES]
        own = next((mask / name for name in names if (mask / name).is_file()), item.mask)
        if own is None:
            hint = f"the folder of masks has a tree like that of the pictures: {mask / names[0]}"
            raise SettingsError("there is no mask for this picture", where=str(item.image), hint=hint, code="no_mask")
        found.append(replace(item, mask=own))
    return found


def _within(path: Path, folder: Path) -> bool:
    return folder.resolve() in path.resolve().parents


def _hidden(path: Path, base: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(base).parts)
