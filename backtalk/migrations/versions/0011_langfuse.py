"""what a Langfuse was told of each opinion"""

import sqlalchemy as sa
from alembic import op

import backtalk.tables

revision = '0011'
down_revision = '0010'


def upgrade() -> None:
    op.create_table('langfuse_score',
    sa.Column('opinion_id', sa.Uuid(), nullable=False),
    sa.Column('names', sa.JSON(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('next_at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('opinion_id', name=op.f('pk_langfuse_score'))
    )
