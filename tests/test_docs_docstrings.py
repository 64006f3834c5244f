"""Every public name is documented in numpydoc form, with an example.

The checks are numpydoc's (their codes in its documentation); those about punctuation and blank
lines are left to ruff and to taste.
"""

from __future__ import annotations

import dataclasses
import inspect
from importlib import import_module
from typing import Any

import pytest
from _public import public_names
from numpydoc.validate import validate

# Members: a docstring, parameters all there, known and in order. Names also: sections known and in
# order, a summary, parameters with type and description, the returned value, an example.
FOR_PARAMETERS = {"PR01", "PR02", "PR03"}
FOR_MEMBERS = FOR_PARAMETERS | {"GL08"}
FOR_NAMES = FOR_MEMBERS | {"GL06", "GL07", "SS01", "PR04", "PR07", "RT01", "EX01"}


def value_of(name: str) -> Any:
    module, attribute = name.rsplit(".", 1)
    return getattr(import_module(module), attribute)


def complaints(name: str, codes: set[str]) -> list[str]:
    return [f"{name}: {code} {text}" for code, text in validate(name)["errors"] if code in codes]


def own_members(cls: type) -> list[str]:
    """Public methods and properties that a class of ours defines itself."""
    return [
        name
        for name, value in vars(cls).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod))
    ]


def is_error(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseException)


def undocumented_fields(cls: type) -> list[str]:
    """Fields of a result object that its docstring does not name; nobody calls its constructor."""
    text = inspect.getdoc(cls) or ""
    names = [field.name for field in dataclasses.fields(cls) if not field.name.startswith("_")]
    return [name for name in names if name not in text]


def is_constant(value: Any) -> bool:
    return not callable(value)


@pytest.mark.parametrize("name", public_names())
def test_public_name_is_documented(name):
    value = value_of(name)
    if is_constant(value):
        return
    codes = {"GL08", "SS01"} if is_error(value) else FOR_NAMES
    if inspect.isclass(value) and dataclasses.is_dataclass(value):
        assert not undocumented_fields(value)
        codes = codes - FOR_PARAMETERS
    assert not complaints(name, codes)


@pytest.mark.parametrize("name", public_names())
def test_members_are_documented(name):
    value = value_of(name)
    if not inspect.isclass(value) or is_error(value):
        return
    found = [
        complaint
        for member in own_members(value)
        for complaint in complaints(f"{name}.{member}", FOR_MEMBERS)
    ]
    assert not found, "\n".join(found)


def test_an_undocumented_parameter_is_noticed(monkeypatch):
    import fairgroup.exceptions

    def undocumented(a, b):
        """Do it.

        Parameters
        ----------
        a : int
            A number.
        """
        return a + b

    monkeypatch.setattr(fairgroup.exceptions, "undocumented", undocumented, raising=False)
    found = " ".join(complaints("fairgroup.exceptions.undocumented", FOR_NAMES))
    for code in ("PR01", "RT01", "EX01"):
        assert code in found
