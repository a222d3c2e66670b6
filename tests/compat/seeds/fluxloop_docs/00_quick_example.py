import fluxloop

# Initialize (optional - uses sensible defaults)
fluxloop.configure(
    storage="file",
    base_path="./traces"
)

# Decorate your agent function
@fluxloop.agent(name="ChatAgent")
def my_agent(prompt: str) -> str:
    """Your agent logic here."""
    # Agent implementation
    result = process_prompt(prompt)
    return result

# Run it - traces are automatically collected
response = my_agent("Hello, world!")
