@fluxloop.agent()
async def async_agent(query: str) -> str:
    result = await async_operation(query)
    return result

@fluxloop.prompt()
async def async_llm_call(prompt: str) -> str:
    return await llm.async_generate(prompt)
