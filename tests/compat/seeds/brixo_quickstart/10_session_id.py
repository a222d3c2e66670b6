session_id = "session-abc-123"
