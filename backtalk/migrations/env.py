"""Run by alembic, on the database that `Database.migrate` hands over."""

from alembic import context
from sqlmodel import SQLModel

import backtalk.tables  # noqa: F401  (imported for the tables it defines)
from backtalk.database import Database

database: Database = context.config.attributes["database"]
with database.connection() as connection:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=True,  # SQLite alters tables by copying them
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
