"""links to conversations, conversations that train nothing, what people are asked for, raters asked twice"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import backtalk.tables

revision = '0004'
down_revision = '0003'


def upgrade() -> None:
    op.create_table('opinion_rules',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('compare_share', sa.Float(), nullable=False),
    sa.Column('updated_at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_opinion_rules'))
    )
    op.create_table('share',
    sa.Column('token', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('conversation_id', sa.Uuid(), nullable=False),
    sa.Column('message_id', sa.Uuid(), nullable=False),
    sa.Column('created_at', backtalk.tables.Instant(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['conversation_id'], ['conversation.id'], name=op.f('fk_share_conversation_id_conversation'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['message_id'], ['message.id'], name=op.f('fk_share_message_id_message'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token', name=op.f('pk_share')),
    sa.UniqueConstraint('conversation_id', name=op.f('uq_share_conversation_id'))
    )
    op.create_index(op.f('ix_share_message_id'), 'share', ['message_id'], unique=False)
    op.add_column('conversation', sa.Column('train', sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column('rate_item', sa.Column('first_rating', sa.Integer(), nullable=True))
    op.add_column('rate_item', sa.Column('second_rating', sa.Integer(), nullable=True))
