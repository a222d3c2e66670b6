Brixo.begin_context(
    user={
		"id": "jane.doe@acme.com", # Stable user identifier (e.g. email)
		"name": "Jane Doe"
	},
    account={
		"id": "org_7f3a2c91", # Stable account/tenant identifier
		"name": "ACME, Inc."
	},
    session_id="session-abc-123",
    message_id="assistant-msg-123",
    input=user_input,
)
