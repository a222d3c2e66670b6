metadata = {
    "channel": "web",
    "plan": "enterprise",
    "experiment": "agent-v2"
}
