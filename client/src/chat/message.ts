/** What the chat is made of, as HTTP tells it (`GET /api/conversations/{id}/messages`). */

export type {
  ConversationOut as Conversation,
  ConversationsFeedback as Feedback,
  MessageOut as Message,
} from '../wire/http'
