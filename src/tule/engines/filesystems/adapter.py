"""fsspec behind the port ``bigquery.source_files.FileSystems``.

A URI is read only where it lies below a folder that the setting ``TULE_FOLDERS`` names: queries come from anybody who may
run one, and must not reach whatever the server's user can.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tule.kernel.errors import FailedPrecondition, InvalidArgument, PermissionDenied

_URI = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]*)://(?P<rest>.*)", re.DOTALL)
_LOCAL = ("file", "local")
_INSTALL = {
    "hdfs": "run `pip install 'tule[hdfs]'`, and install Hadoop's libhdfs (HADOOP_HOME, JAVA_HOME and CLASSPATH tell where)"
}


@dataclass(frozen=True)
class Found:
    """One file."""

    uri: str
    size: int
    open: Callable[[], BinaryIO]


class Folders:
    """The folders of one server. ``roots``: URIs separated by commas, as the setting writes them."""

    def __init__(self, roots: str) -> None:
        self._roots = tuple(_checked(each.strip()).rstrip("/") for each in roots.split(",") if each.strip())

    def check(self, uri: str) -> None:
        self._root(_checked(uri))

    def glob(self, uri: str) -> Sequence[Found]:
        root = self._root(_checked(uri))
        before, star, after = uri.partition("*")
        scheme = uri.partition("://")[0]
        with _translated(uri, scheme):
            system = _system(uri, scheme)
            if not star:
                return self._one(system, uri, root)
            folder = before.rpartition("/")[0]
            place = system._strip_protocol(folder)
            found = system.find(place, detail=True)
        made = []
        for path, about in sorted(found.items()):
            name = f"{folder}/{path.removeprefix(place).lstrip('/')}"
            if name.startswith(before) and name.endswith(after) and len(name) >= len(before) + len(after):
                self._check_local(scheme, path, root)
                made.append(_found(system, name, path, about))
        return made

    def _one(self, system: Any, uri: str, root: str) -> Sequence[Found]:
        scheme = uri.partition("://")[0]
        path = system._strip_protocol(uri)
        try:
            about = system.info(path)
        except FileNotFoundError:
            return []
        if about.get("type") != "file":
            return []
        self._check_local(scheme, path, root)
        return [_found(system, uri, path, about)]

    def _root(self, uri: str) -> str:
        """The named folder that a URI lies in."""
        for each in self._roots:
            if uri.startswith(each + "/"):
                return each
        known = {each.partition("://")[0] for each in self._roots}
        # A scheme that nobody opened a folder of is no source of data here, like any other word.
        kind = PermissionDenied if uri.partition("://")[0] in known else InvalidArgument
        raise kind(
            "A source URI must begin with gs:// or lie below a folder that TULE_FOLDERS names",
            given=f"{uri[:200]!r}; the folders are {', '.join(self._roots) or 'none'}",
            do="ask the server's owner to start it with TULE_FOLDERS",
        )

    @staticmethod
    def _check_local(scheme: str, path: str, root: str) -> None:
        """Raise where a link leads out of a folder of this machine."""
        if scheme in _LOCAL and not Path(path).resolve().is_relative_to(Path(root.partition("://")[2]).resolve()):
            raise PermissionDenied("A link must not lead out of its folder", given=path)


def _found(system: Any, uri: str, path: str, about: Any) -> Found:
    def opened() -> BinaryIO:
        with _translated(uri, uri.partition("://")[0]):
            file: BinaryIO = system.open(path, "rb")
            return file

    return Found(uri, int(about.get("size") or 0), opened)


def _checked(uri: str) -> str:
    match = _URI.fullmatch(uri)
    if match is None or "::" in uri or {"..", "."} & set(uri.split("/")) or "\x00" in uri:
        raise InvalidArgument(
            "A folder or file must be written SCHEME://PATH, without . and .. in the path", given=repr(uri[:200])
        )
    return uri


def _system(uri: str, scheme: str) -> Any:
    try:
        import fsspec
    except ImportError:
        raise FailedPrecondition(
            f"Reading {scheme}:// needs the package fsspec", given=uri[:200], do="run `pip install 'tule[folders]'`"
        ) from None
    # Chains of file systems were refused with the URI: this is the one that its scheme names.
    system, _ = fsspec.core.url_to_fs(uri.partition("*")[0])
    system.invalidate_cache()
    return system


@contextmanager
def _translated(uri: str, scheme: str) -> Iterator[None]:
    """What fsspec and its file systems raise, as errors of ours."""
    try:
        yield
    except PermissionError as error:
        raise PermissionDenied("The server must be allowed to read the file", given=f"{uri[:200]}: {error}") from error
    except (ImportError, OSError, ValueError) as error:
        raise FailedPrecondition(
            f"The file system {scheme} must be installed and answer",
            given=f"{uri[:200]}: {(str(error).splitlines() or [type(error).__name__])[0][:300]}",
            do=_INSTALL.get(scheme, "see docs/bigquery-external.md"),
        ) from error
