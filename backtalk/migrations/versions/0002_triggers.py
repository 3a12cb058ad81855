"""schedules know blackouts, a reward profile and triggers beside the clock"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    op.add_column('schedule', sa.Column('reward_profile', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.add_column('schedule', sa.Column('blackouts', sa.JSON(), server_default='[]', nullable=False))
    op.add_column('schedule', sa.Column('after_feedback', sa.Integer(), nullable=True))
    op.add_column('schedule', sa.Column('on_drift', sa.Float(), nullable=True))
    op.add_column('slot', sa.Column('trigger', sqlmodel.sql.sqltypes.AutoString(), server_default='clock', nullable=False))
