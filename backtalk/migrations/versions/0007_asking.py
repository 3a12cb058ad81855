"""reasons and aspects of the operator's own, who is let in, who gave a conversation its title"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import backtalk.tables

revision = '0007'
down_revision = '0006'


def upgrade() -> None:
    op.create_table('entrance_rules',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('signup', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('updated_at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_entrance_rules'))
    )
    op.add_column('conversation', sa.Column('titled_by', sqlmodel.sql.sqltypes.AutoString(), server_default='words', nullable=False))
    op.add_column('opinion_rules', sa.Column('aspects', sa.JSON(), nullable=True))
    op.add_column('opinion_rules', sa.Column('reasons', sa.JSON(), nullable=True))
