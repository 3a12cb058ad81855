"""What the chat page costs whoever looks at it, in a real Chromium, beside pages made with open-source peers."""
