"""Keeping and checking what must not be lost: backups that are a data directory again, and proofs that all is whole."""

import os
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import col, select

from backtalk import audit, weights
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Policy

DUMP = "backtalk.dump"


class BackupError(RuntimeError):
    """The backup cannot be made; the message says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked. Made by `verify`, shown by the command line."""

    what: str
    is_whole: bool
    detail: str


def backup(settings: Settings, database: Database, out: Path) -> None:
    """Copy database, weights and keys to `out` while everything runs; `out` is then a data directory itself.

    A secret key that lies elsewhere is not copied: with it the copy would open what is encrypted.

    Args:
        out: a directory that is not there yet, or a file ending in `.tar.gz`.

    Raises:
        BackupError: `out` is there already, or the database cannot be copied.
    """
    if out.exists():
        raise BackupError(f"{out} is there already; name a directory or *.tar.gz that is not there yet")
    is_packed = out.name.endswith(".tar.gz")
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True, mode=0o700)
    try:
        # The database first: every version it names is immutable and on disk already.
        _copy_database(settings, database, beside)
        for directory in (settings.weights_dir, settings.keys_dir):
            shutil.copytree(directory, beside / directory.name, ignore=shutil.ignore_patterns(".*"))
        (beside / settings.keys_dir.name).chmod(0o700)
        if is_packed:
            _pack(beside, out)
        else:
            beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _copy_database(settings: Settings, database: Database, target: Path) -> None:
    if database.is_sqlite:
        source = sqlite3.connect(sa.make_url(database.url).database or "")
        copy = sqlite3.connect(target / "backtalk.db")
        try:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=WAL")
        finally:
            copy.close()
            source.close()
        (target / "backtalk.db").chmod(0o600)
        return
    if shutil.which("pg_dump") is None:
        raise BackupError("the database is Postgres and `pg_dump` is not on the PATH; install the Postgres client")
    url = sa.make_url(database.url).set(drivername="postgresql")
    environment = {**os.environ, "PGPASSWORD": str(url.password or "")}
    plain = url.set(password=None).render_as_string()
    done = subprocess.run(
        ["pg_dump", "--format=custom", f"--file={target / DUMP}", plain],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BackupError(f"pg_dump ended with exit code {done.returncode}: {done.stderr.strip()}")


def _pack(directory: Path, out: Path) -> None:
    beside = out.with_name(f".{out.name}.tar")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it holds keys
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
            tar.add(directory, arcname=out.name.removesuffix(".tar.gz"))
        beside.rename(out)
    finally:
        beside.unlink(missing_ok=True)


def verify(settings: Settings, database: Database) -> Iterator[Finding]:
    """Check the database, the audit chain and every version's files, one finding a thing."""
    yield from _check_database(database)
    with database.read() as session:
        broken = audit.first_broken(session)
        rows = session.execute(sa.text("SELECT count(*) FROM audit")).scalar_one()
        yield Finding(
            "audit chain", broken is None, f"{rows} rows" if broken is None else f"row {broken} is not what was written"
        )
        policies = session.exec(select(Policy).order_by(col(Policy.number))).all()
    live = [policy.number for policy in policies if policy.state == "live"]
    yield Finding("live policy", len(live) == 1, f"policy {live[0]}" if live else "none; `backtalk up` makes the first")
    for policy in policies:
        yield _check_policy(settings, policy)


def _check_database(database: Database) -> Iterator[Finding]:
    if not database.is_sqlite:
        with database.connection() as connection:
            version = connection.execute(sa.text("SHOW server_version")).scalar_one()
        yield Finding("database", True, f"Postgres {version} answers; its own checksums guard the pages")
        return
    with database.read() as session:
        words = [row[0] for row in session.execute(sa.text("PRAGMA integrity_check(3)"))]
        yield Finding("database", words == ["ok"], "; ".join(words))
        orphans = len(session.execute(sa.text("PRAGMA foreign_key_check")).all())
        yield Finding("references", orphans == 0, "whole" if not orphans else f"{orphans} rows point to nothing")


def _check_policy(settings: Settings, policy: Policy) -> Finding:
    what = f"policy {policy.number}"
    directory = settings.weights_dir / policy.directory
    if not directory.is_dir():
        gone = policy.state in ("rejected", "withdrawn", "retired")  # pruned when newer ones came
        return Finding(what, gone, f"{policy.state}; its files were pruned" if gone else f"{directory} is missing")
    try:
        manifest = weights.verify(directory, weights.public_key(settings.keys_dir))
    except (weights.WeightsError, OSError) as error:
        return Finding(what, False, str(error))
    if manifest.digest != policy.digest:
        return Finding(what, False, f"{directory.name} is another version than the database names")
    return Finding(what, True, f"{policy.state}, {len(manifest.files)} files signed and unchanged")
