@fluxloop.agent(
    name="ChatBot",
    metadata={"version": "1.0", "layer": "entry"},
    capture_input=True,
    capture_output=True
)
async def chat_bot(message: str) -> str:
    # Agent logic
    return response
