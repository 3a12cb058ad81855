"""How long does the first page of the console take once a service has grown old? A million replies, on SQLite.

The rows are as long as real ones of the bundled policy; their ids are random, as ids are, so that nothing that belongs
together lies together.
"""

import asyncio
import sqlite3
import time
import urllib.request

from backtalk import people
from backtalk.settings import Settings
from bench.gateway import lone_server
from bench.report import Row, milliseconds, percentile

REPLIES = 1_000_000
OPINIONS = 100_000
PEOPLE = 5_000
VERSIONS = 20
ROUNDS = 20
CACHE = 3_000_000
"""Kilobytes of pages kept while the database is filled: ids are random, and so are the pages that they go to."""
PAGES = ("summary", "delays", "policies", "feedback", "runs")


async def bench() -> list[Row]:
    """A row for each page that an operator opens first."""
    began = time.perf_counter()
    async with lone_server(grow_old) as (database, url, _, _):
        made = time.perf_counter() - began
        with database.write() as session:
            key = people.add_key(session, people.add(session, "the operator", "operator")).secret
        rows: list[Row] = []
        for page in PAGES:
            seconds = [await asyncio.to_thread(_ask, f"{url}/api/operate/{page}", key) for _ in range(ROUNDS)]
            rows.append(
                {
                    "page": page,
                    "replies": REPLIES,
                    "opinions": OPINIONS,
                    "first ms": milliseconds(seconds[0]),
                    "p50 ms": milliseconds(percentile(seconds, 0.5)),
                    "p95 ms": milliseconds(percentile(seconds, 0.95)),
                    "made in s": round(made),
                }
            )
        return rows


def _ask(address: str, key: str) -> float:
    began = time.perf_counter()
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()
    return time.perf_counter() - began


def grow_old(settings: Settings, replies: int = REPLIES, opinions: int = OPINIONS) -> None:
    """Fill a new SQLite database with the past of a service: conversations, thumbs, versions and their runs."""
    past = _PAST.format(replies=replies, each=replies // opinions, people=PEOPLE, versions=VERSIONS)
    connection = sqlite3.connect(settings.data_dir / "backtalk.db", isolation_level=None)
    # What is half made is thrown away, so nothing needs to survive a crash: each page is written once, and indexes are
    # built from sorted rows when these are there.
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(f"PRAGMA cache_size = -{CACHE}")
    ours = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    indexes = connection.execute(ours).fetchall()
    emptied = "".join(f"DROP INDEX {name}; " for name, _ in indexes)
    built = "".join(f"{sql}; " for _, sql in indexes)
    connection.executescript(f"BEGIN; {emptied} {past} {built} COMMIT; PRAGMA journal_mode = WAL;")
    connection.close()


_PAST = """
CREATE TEMP TABLE past AS
WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < {replies})
SELECT n, lower(hex(randomblob(16))) AS conversation, lower(hex(randomblob(16))) AS question,
    lower(hex(randomblob(16))) AS reply,
    strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || (90.0 * ({replies} - n) / {replies}) || ' days') AS at,
    n * {versions} / {replies} AS version, 1 + abs(random() % {people}) AS person FROM n;
CREATE TEMP TABLE crowd AS
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {people})
SELECT n, lower(hex(randomblob(16))) AS id FROM n;
INSERT INTO person (id, guest, role, language, consent_train, created_at)
SELECT id, 1, 'user', 'en', 1, '2026-01-01 00:00:00.000000' FROM crowd;
INSERT INTO run (id, state, progress, recipe, counts, report, cancel_requested, epoch, queued_at, started_at, ended_at,
    stage, from_version, to_version)
SELECT lower(hex(randomblob(16))), 'promoted', 1.0, '{{}}', '{{}}',
    '{{"seconds": {{"snapshot": 2.0, "reward_model": 60.0, "policy": 240.0, "gate": 60.0, "publish": 3.0}}}}', 0, 1,
    max(at), max(at), strftime('%Y-%m-%d %H:%M:%f000', max(at), '+6 minutes'), 'publish', version, version + 1
FROM past WHERE version + 1 < {versions} GROUP BY version;
INSERT INTO policy (number, parent, run_id, state, directory, digest, report, created_at, live_at)
SELECT to_version, from_version, id, 'retired', 'none', 'none', '{{}}', ended_at, ended_at FROM run;
INSERT INTO conversation (id, person_id, title, archived, message_count, created_at, updated_at)
SELECT conversation, crowd.id, 'Of this and that', 0, 2, at, at FROM past JOIN crowd ON crowd.n = person;
INSERT INTO message (id, conversation_id, person_id, position, role, content, state, created_at, ended_at)
SELECT question, conversation, crowd.id, 0, 'user', 'What is the capital of a country that I have been to, and why?',
    'done', at, at FROM past JOIN crowd ON crowd.n = person;
INSERT INTO message (id, conversation_id, person_id, parent_id, position, role, content, state, created_at, ended_at)
SELECT reply, conversation, crowd.id, question, 1, 'assistant', hex(randomblob(80)), 'done', at, at
FROM past JOIN crowd ON crowd.n = person;
INSERT INTO reply (id, policy_version, sampling, seed, template_digest, engine, prompt, tokens, logprobs, delta_ends,
    prompt_tokens, completion_tokens, resumptions)
SELECT reply, version, '{{"temperature": 0.6}}', n, 'none', 'local', randomblob(160), randomblob(160), randomblob(160),
    randomblob(40), 40, 40, 0 FROM past;
INSERT INTO opinion (id, person_id, message_id, rating, labels, reasons, revision, policy_version, withdrawn, excluded,
    created_at, updated_at)
SELECT lower(hex(randomblob(16))), crowd.id, reply, CASE WHEN abs(random() % 100) < 50 + version THEN 1 ELSE -1 END,
    '{{}}', '["correct"]', 1, version, 0, 0, at, at FROM past JOIN crowd ON crowd.n = person WHERE past.n % {each} = 0;
INSERT INTO opinion_history (opinion_id, revision, content, at)
SELECT id, revision, '{{"rating": 1}}', updated_at FROM opinion;
INSERT INTO run_item (run_id, kind, item_id, person_id, revision, digest)
SELECT run.id, 'opinion', opinion.id, person_id, revision, 'none' FROM opinion
JOIN run ON run.from_version = opinion.policy_version;
"""
