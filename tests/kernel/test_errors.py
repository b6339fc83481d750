"""Errors carry a canonical code and a message of three parts."""

from __future__ import annotations

from google.rpc import code_pb2

from tule.kernel.errors import CODES, NUMBERS, InvalidArgument, NotFound, OutOfRange, TuleError


def test_a_message_has_up_to_three_parts() -> None:
    assert str(NotFound("The table must exist")) == "The table must exist"
    error = NotFound("The table must exist", given="a.b", do="list the tables", reason="notFound", location="q")
    assert error.message == "The table must exist; given: a.b. Next: list the tables"
    assert (error.reason, error.location, error.details) == ("notFound", "q", [])


def test_given_nothing_is_not_given_an_empty_text() -> None:
    assert str(InvalidArgument("A name must not be empty", given="''")) == "A name must not be empty; given: ''"
    assert str(InvalidArgument("It must be positive", given=0)) == "It must be positive; given: 0"


def test_codes_and_numbers_are_googles() -> None:
    assert dict(code_pb2.Code.items()) == NUMBERS
    assert set(CODES) == set(NUMBERS) - {"OK", "UNKNOWN"}
    assert all(kind.code == code and issubclass(kind, TuleError) for code, kind in CODES.items())
    assert issubclass(OutOfRange, InvalidArgument)
