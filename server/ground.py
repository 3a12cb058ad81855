"""What a server stands on: the data directory, the database, the first version. Laid before anybody is served."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any

from backtalk import people, policies
from backtalk.database import Database
from backtalk.settings import Settings


def lay(settings: Settings, say: Callable[[str], None] = lambda line: None) -> Database:
    """Make what is missing, which takes no time when nothing is. `say` gets a line for each part that is there."""
    settings.prepare()
    database = Database(settings.database)
    database.migrate()
    say("database ready")
    policies.ensure_first(database, settings)
    with database.read() as session:
        live = policies.live(session)
        assert live is not None  # ensure_first has made one
        say(f"policy {live.number} ready ({live.digest[:12]})")
    return database


def lay_and_tell(settings: Settings, pipe: int) -> None:
    """Lay the ground for `backtalk up`, which reads from the other end of `pipe` what to show.

    It is told in lines of JSON: `{"said": line}` for each part, and at last `{"claim": token}`, the token that makes
    the first operator or null when there is one; or `{"failed": sentence}`. Not through the log: the token is a secret.
    """
    os.set_inheritable(pipe, False)

    def tell(**word: Any) -> None:
        os.write(pipe, json.dumps(word).encode() + b"\n")  # so short a line arrives whole or not at all

    try:
        database = lay(settings, lambda line: tell(said=line))
        token = people.offer_claim(settings, database)
        database.close()
    except Exception as error:
        from backtalk import sentences  # only errors pay for it

        sentence = sentences.of(error)
        if sentence is None:
            raise
        tell(failed=sentence)
        signal.pause()  # until we are stopped: whoever ends is started again, and that would not mend it
    else:
        tell(claim=token)
        os.close(pipe)
