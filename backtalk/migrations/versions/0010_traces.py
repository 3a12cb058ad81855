"""a reply knows the trace that it belongs to: whoever takes it up goes on with it"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0010'
down_revision = '0009'


def upgrade() -> None:
    op.add_column('reply', sa.Column('traceparent', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
