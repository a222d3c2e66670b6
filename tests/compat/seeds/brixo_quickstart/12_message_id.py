message_id = "assistant-msg-123"
