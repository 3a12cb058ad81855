"""A disk whose power can fail: a SQLite file system that remembers every write, and which of them were synced.

SQLite calls `File` for each write; it passes them on to the real file and keeps them in the disk's log, in one order
with the acknowledgements. From the log, `crashes` makes what a power cut at some moment may leave: all that was synced,
and of the rest any part, in any order, torn at any sector. (A disk that lies about syncing is not a disk.)
"""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import apsw
import sqlalchemy as sa
from typing_extensions import override

from backtalk import database
from backtalk.database import Database

SECTOR = 512


@dataclass(slots=True)
class Event:
    """One thing that happened to the disk, or one thing that somebody was told."""

    kind: str  # write | sync | truncate | delete | ack
    file: str = ""
    offset: int = 0
    content: bytes = b""
    ack: Any = None


@dataclass(slots=True)
class Disk:
    """Everything that was done to the files of one directory, in order."""

    directory: Path
    log: list[Event] = field(default_factory=list)

    def ack(self, what: Any) -> None:
        """Somebody was told that this is safe. Called in the thread that writes."""
        self.log.append(Event("ack", ack=what))

    def base(self) -> dict[str, bytes]:
        """The files as they are; before anything is done, all of it is durable."""
        return {path.name: path.read_bytes() for path in self.directory.iterdir() if not path.name.endswith("-shm")}


class File(apsw.VFSFile):
    """One open file that tells the disk what is done to it."""

    def __init__(self, base: str, name: Any, flags: list[int], disk: Disk) -> None:
        super().__init__(base, name, flags)
        self._disk, self._name = disk, Path(name.filename() if hasattr(name, "filename") else name).name

    @override
    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._disk.log.append(Event("write", self._name, offset, bytes(data)))

    @override
    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._disk.log.append(Event("sync", self._name))

    @override
    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._disk.log.append(Event("truncate", self._name, newsize))


class FileSystem(apsw.VFS):
    """The real one, whose files are `File`."""

    def __init__(self, name: str, disk: Disk) -> None:
        self.name, self._disk = name, disk
        super().__init__(name, "")

    @override
    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        if name is None:  # a temporary file, gone with the process anyway
            return apsw.VFSFile("", name, flags)
        return File("", name, flags, self._disk)

    @override
    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._disk.log.append(Event("delete", Path(filename).name))


class PoweredDatabase(Database):
    """The product's database, its files on this disk."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.vfs = FileSystem(f"powered-{id(disk)}", disk)
        self.url = f"sqlite:///{disk.directory / 'backtalk.db'}"
        self.is_sqlite = True
        self._engine = sa.create_engine(self.url, module=_dbapi(), connect_args={"vfs": self.vfs.name})
        sa.event.listen(self._engine, "connect", database._prepare_sqlite)
        sa.event.listen(self._engine, "begin", database._begin_sqlite)
        self._writing = self._engine.execution_options(backtalk_immediate=True)

    @override
    def close(self) -> None:
        super().close()
        self.vfs.unregister()


def crashes(
    base: dict[str, bytes], log: Sequence[Event], count: int, chance: random.Random
) -> Iterator[tuple[list[Any], dict[str, bytes]]]:
    """For `count` moments of the log: what had been acknowledged by then, and the files that a power cut leaves."""
    moments = sorted(chance.randrange(len(log) + 1) for _ in range(count))
    durable = {name: bytearray(content) for name, content in base.items()}
    pending: dict[str, list[Event]] = {}
    acked: list[Any] = []
    position = 0
    for moment in moments:
        for event in log[position:moment]:
            if event.kind == "ack":
                acked.append(event.ack)
            elif event.kind == "sync":
                content = durable.setdefault(event.file, bytearray())
                for change in pending.pop(event.file, []):
                    _apply(content, change)
            elif event.kind == "delete":  # a name that is gone may come back; SQLite deletes no WAL that it needs
                pending.pop(event.file, None)
                durable.pop(event.file, None)
            else:
                pending.setdefault(event.file, []).append(event)
        position = moment
        yield list(acked), _after(durable, pending, chance)


def _after(durable: dict[str, bytearray], pending: dict[str, list[Event]], chance: random.Random) -> dict[str, bytes]:
    """All that is durable, and some of the rest."""
    left = {name: bytearray(content) for name, content in durable.items()}
    kept = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    for name, changes in pending.items():
        survived = [change for change in changes if chance.random() < kept]
        if chance.random() < 0.3:
            chance.shuffle(survived)
        for change in survived:
            torn = change.kind == "write" and chance.random() < 0.3
            for part in _sectors(change, chance) if torn else [change]:
                _apply(left.setdefault(name, bytearray()), part)
    return {name: bytes(content) for name, content in left.items()}


def _sectors(change: Event, chance: random.Random) -> Iterator[Event]:
    """Some of a write's sectors."""
    start = change.offset
    while start < change.offset + len(change.content):
        end = min((start // SECTOR + 1) * SECTOR, change.offset + len(change.content))
        if chance.random() < 0.5:
            yield Event("write", change.file, start, change.content[start - change.offset : end - change.offset])
        start = end


def _apply(content: bytearray, change: Event) -> None:
    if change.kind == "truncate":
        del content[change.offset :]
        return
    if len(content) < change.offset:
        content.extend(bytes(change.offset - len(content)))
    content[change.offset : change.offset + len(change.content)] = change.content


# SQLAlchemy asks for the standard library's interface; apsw has one of its own. -------------------------------------


class _Cursor:
    """A cursor that has all its rows at once."""

    arraysize = 1

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    def execute(self, sql: str, values: Sequence[Any] = ()) -> "_Cursor":
        self.description = None

        def note(cursor: apsw.Cursor, _sql: str, _values: Any) -> bool:
            described = cursor.get_description()
            if described:
                self.description = [(name, None, None, None, None, None, None) for name, _ in described]
            return True

        try:
            cursor = self._connection.real.cursor()
            cursor.exec_trace = note
            self._rows = list(cursor.execute(sql, tuple(values)))
        except apsw.Error as error:
            raise _translated(error) from error
        self.rowcount = self._connection.real.changes() if self.description is None else -1
        self.lastrowid = self._connection.real.last_insert_rowid()
        return self

    def executemany(self, sql: str, many: Sequence[Sequence[Any]]) -> "_Cursor":
        for values in many:
            self.execute(sql, values)
        return self

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchall(self) -> list[Any]:
        taken, self._rows = self._rows, []
        return taken

    def close(self) -> None:
        self._rows = []


class _Connection:
    isolation_level = None

    def __init__(self, path: str, vfs: str = "", **_: Any) -> None:
        self.real = apsw.Connection(path, vfs=vfs)

    def cursor(self, *_: Any) -> _Cursor:
        return _Cursor(self)

    def execute(self, sql: str, values: Sequence[Any] = ()) -> _Cursor:
        return self.cursor().execute(sql, values)

    def create_function(self, name: str, arguments: int, function: Any, **_: Any) -> None:
        self.real.create_scalar_function(name, function, arguments)

    def commit(self) -> None:
        if not self.real.get_autocommit():
            self.execute("COMMIT")

    def rollback(self) -> None:
        if not self.real.get_autocommit():
            self.execute("ROLLBACK")

    def close(self) -> None:
        self.real.close()


def _translated(error: apsw.Error) -> Exception:
    if isinstance(error, apsw.ConstraintError):
        return sqlite3.IntegrityError(str(error))
    return sqlite3.OperationalError(str(error))


def _dbapi() -> ModuleType:
    module = ModuleType("apsw_dbapi")
    for name in dir(sqlite3):
        if not name.startswith("__"):
            setattr(module, name, getattr(sqlite3, name))
    cast(Any, module).connect = _Connection
    cast(Any, module).sqlite_version = apsw.sqlite_lib_version()
    cast(Any, module).sqlite_version_info = tuple(map(int, apsw.sqlite_lib_version().split(".")))
    return module
