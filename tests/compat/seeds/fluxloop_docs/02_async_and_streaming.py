@fluxloop.agent()
async def async_agent(prompt: str) -> str:
    result = await process_async(prompt)
    return result

@fluxloop.prompt(model="gpt-4o")
async def stream_response(messages: list):
    """Stream LLM chunks."""
    async for chunk in llm.stream(messages):
        yield chunk  # Each chunk traced
