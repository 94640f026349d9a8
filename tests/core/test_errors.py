"""The error tree."""

from __future__ import annotations

import pickle

from lego.core import errors


def test_every_error_pickles_with_all_it_knows() -> None:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.LegoError)]
    assert len(kinds) == 13
    for kind in kinds:
        error = kind("what", where="there", hint="do this", code="odd", confidence=0.4)
        twin = pickle.loads(pickle.dumps(error))
        assert (type(twin), str(twin), twin.hint, twin.code) == (kind, "there: what", "do this", "odd")
        assert twin.details == {"confidence": 0.4}


def test_every_error_stands_in_the_drawn_tree() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.LegoError):
            assert name in (errors.__doc__ or "")
