@fluxloop.tool(
    name="WebSearch",
    description="Search the web for information"
)
def search(query: str) -> list:
    # Tool logic
    return results
