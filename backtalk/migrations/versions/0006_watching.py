"""lines of a run, what each person gave it, the labelling queue with pairs and gold, words a profile forbids"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import backtalk.tables

revision = '0006'
down_revision = '0005'


def upgrade() -> None:
    op.create_table('run_line',
    sa.Column('run_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('level', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('text', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_run_line_run_id_run'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('run_id', 'number', name=op.f('pk_run_line'))
    )
    op.create_table('run_person',
    sa.Column('run_id', sa.Uuid(), nullable=False),
    sa.Column('person_id', sa.Uuid(), nullable=False),
    sa.Column('given', sa.Integer(), nullable=False),
    sa.Column('used', sa.Integer(), nullable=False),
    sa.Column('influence', sa.Float(), nullable=True),
    sa.Column('leaning', sa.Float(), nullable=True),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_run_person_person_id_person'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_run_person_run_id_run'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('run_id', 'person_id', name=op.f('pk_run_person'))
    )
    op.create_index(op.f('ix_run_person_person_id'), 'run_person', ['person_id'], unique=False)
    op.execute(
        'INSERT INTO run_person (run_id, person_id, given, used) '
        'SELECT run_id, person_id, count(*), count(*) FROM run_item GROUP BY run_id, person_id'
    )
    op.create_table('pair_item',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('person_id', sa.Uuid(), nullable=False),
    sa.Column('left_id', sa.Uuid(), nullable=False),
    sa.Column('right_id', sa.Uuid(), nullable=False),
    sa.Column('created_at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.Column('done_at', backtalk.tables.Instant(timezone=True), nullable=True),
    sa.Column('verdict', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['left_id'], ['message.id'], name=op.f('fk_pair_item_left_id_message'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_pair_item_person_id_person'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['right_id'], ['message.id'], name=op.f('fk_pair_item_right_id_message'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_pair_item')),
    sa.UniqueConstraint('person_id', 'left_id', 'right_id', name=op.f('uq_pair_item_person_id_left_id_right_id'))
    )
    op.create_index(op.f('ix_pair_item_left_id'), 'pair_item', ['left_id'], unique=False)
    op.create_index(op.f('ix_pair_item_right_id'), 'pair_item', ['right_id'], unique=False)
    op.create_table('contested',
    sa.Column('left_id', sa.Uuid(), nullable=False),
    sa.Column('right_id', sa.Uuid(), nullable=False),
    sa.Column('run_id', sa.Uuid(), nullable=False),
    sa.Column('disagreement', sa.Float(), nullable=False),
    sa.ForeignKeyConstraint(['left_id'], ['message.id'], name=op.f('fk_contested_left_id_message'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['right_id'], ['message.id'], name=op.f('fk_contested_right_id_message'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_contested_run_id_run'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('left_id', 'right_id', name=op.f('pk_contested'))
    )
    op.create_index(op.f('ix_contested_right_id'), 'contested', ['right_id'], unique=False)
    op.create_index(op.f('ix_contested_run_id'), 'contested', ['run_id'], unique=False)
    op.create_table('gold',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('message_id', sa.Uuid(), nullable=False),
    sa.Column('other_id', sa.Uuid(), nullable=True),
    sa.Column('answer', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('made_by', sa.Uuid(), nullable=True),
    sa.Column('made_at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['made_by'], ['person.id'], name=op.f('fk_gold_made_by_person'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['message_id'], ['message.id'], name=op.f('fk_gold_message_id_message'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['other_id'], ['message.id'], name=op.f('fk_gold_other_id_message'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_gold'))
    )
    op.create_index(op.f('ix_gold_message_id'), 'gold', ['message_id'], unique=False)
    op.create_index(op.f('ix_gold_other_id'), 'gold', ['other_id'], unique=False)
    op.create_table('labelling_rules',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('gold_share', sa.Float(), nullable=False),
    sa.Column('double_share', sa.Float(), nullable=False),
    sa.Column('pair_share', sa.Float(), nullable=False),
    sa.Column('updated_at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_labelling_rules'))
    )
    op.add_column('reward_profile', sa.Column('forbidden', sa.JSON(), server_default='[]', nullable=False))
    op.add_column('profile_revision', sa.Column('forbidden', sa.JSON(), server_default='[]', nullable=False))
