import fluxloop 

# Configure the SDK (optional, uses environment variables by default)
fluxloop.configure(
    collector_url="http://localhost:8000",
    api_key="your-api-key"
)

# Instrument your functions with decorators
@fluxloop.agent(name="MyAgent")
def process_request(query: str) -> str:
    response = generate_response(query)
    return response

@fluxloop.prompt(model="gpt-4o-mini")
def generate_response(query: str) -> str:
    # LLM call
    return llm.generate(query)

@fluxloop.tool(description="Search the web")
def web_search(query: str) -> list:
    # Tool implementation
    return search_engine.search(query)
