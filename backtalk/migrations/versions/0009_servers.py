"""several servers on one database: each holds a lease, and every reply names its server"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import backtalk.tables

revision = '0009'
down_revision = '0008'


def upgrade() -> None:
    op.create_table('server',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('host', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('pid', sa.Integer(), nullable=False),
    sa.Column('lease_until', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_server'))
    )
    op.add_column('reply', sa.Column('server_id', sa.Uuid(), nullable=True))
    op.add_column('reply', sa.Column('stop_wanted', sa.Boolean(), server_default=sa.false(), nullable=False))
