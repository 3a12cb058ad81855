"""rules of release, canaries with their curves, and the outbox of announcements"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import backtalk.tables

revision = '0003'
down_revision = '0002'


def upgrade() -> None:
    op.create_table('release_rules',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('approval', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('canary', sa.Boolean(), nullable=False),
    sa.Column('canary_shares', sa.JSON(), nullable=False),
    sa.Column('canary_people', sa.Integer(), nullable=False),
    sa.Column('canary_replies', sa.Integer(), nullable=False),
    sa.Column('alpha', sa.Float(), nullable=False),
    sa.Column('webhook_url', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('webhook_private', sa.Boolean(), nullable=False),
    sa.Column('updated_at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_release_rules'))
    )
    op.create_table('canary',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('control', sa.Integer(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('shares', sa.JSON(), nullable=False),
    sa.Column('people', sa.JSON(), nullable=False),
    sa.Column('replies', sa.Integer(), nullable=False),
    sa.Column('alpha', sa.Float(), nullable=False),
    sa.Column('limits', sa.JSON(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('began_at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.Column('ended_at', backtalk.tables.Instant(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['control'], ['policy.number'], name=op.f('fk_canary_control_policy')),
    sa.ForeignKeyConstraint(['number'], ['policy.number'], name=op.f('fk_canary_number_policy')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_canary'))
    )
    op.create_index(op.f('ix_canary_number'), 'canary', ['number'], unique=False)
    op.create_table('canary_look',
    sa.Column('canary_id', sa.Uuid(), nullable=False),
    sa.Column('seq', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('content', sa.JSON(), nullable=False),
    sa.Column('at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['canary_id'], ['canary.id'], name=op.f('fk_canary_look_canary_id_canary'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('canary_id', 'seq', name=op.f('pk_canary_look'))
    )
    op.create_table('announcement',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('content', sa.JSON(), nullable=False),
    sa.Column('at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('next_at', backtalk.tables.Instant(timezone=True), nullable=True),
    sa.Column('delivered_at', backtalk.tables.Instant(timezone=True), nullable=True),
    sa.Column('error', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_announcement'))
    )
    op.create_index(op.f('ix_announcement_at'), 'announcement', ['at'], unique=False)
    op.create_index(op.f('ix_announcement_next_at'), 'announcement', ['next_at'], unique=False)
    op.create_index('one_canary_policy', 'policy', ['state'], unique=True, sqlite_where=sa.text("state = 'canary'"), postgresql_where=sa.text("state = 'canary'"))
