@fluxloop.prompt(
    name="GenerateResponse",
    model="gpt-4o-mini",
    capture_tokens=True
)
async def generate(prompt: str) -> str:
    # LLM call
    return llm.generate(prompt)
