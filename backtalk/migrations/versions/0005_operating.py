"""opinions know the version they judge, people kept out of training, reward profiles with rules and revisions"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import backtalk.tables

revision = '0005'
down_revision = '0004'


def upgrade() -> None:
    op.create_table('profile_revision',
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('revision', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('weights', sa.JSON(), nullable=False),
    sa.Column('rules', sa.JSON(), nullable=False),
    sa.Column('limits', sa.JSON(), nullable=False),
    sa.Column('at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['name'], ['reward_profile.name'], name=op.f('fk_profile_revision_name_reward_profile'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('name', 'revision', name=op.f('pk_profile_revision'))
    )
    op.add_column('person', sa.Column('excluded', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('reward_profile', sa.Column('rules', sa.JSON(), server_default='{}', nullable=False))
    op.add_column('reward_profile', sa.Column('revision', sa.Integer(), server_default='1', nullable=False))
    op.add_column('opinion', sa.Column('policy_version', sa.Integer(), nullable=True))
    op.execute(
        'UPDATE opinion SET policy_version = (SELECT policy_version FROM reply WHERE reply.id = opinion.message_id)'
    )
    op.create_index(
        'ix_opinion_thumbs', 'opinion', ['policy_version', 'created_at', 'rating', 'withdrawn', 'excluded'], unique=False
    )
