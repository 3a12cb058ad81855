"""how surely somebody says the opposite of what the others say"""

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'


def upgrade() -> None:
    op.add_column('run_person', sa.Column('contrary', sa.Float(), nullable=True))
