import fluxloop 

# Use context manager for explicit tracing
with fluxloop.instrument("my_workflow") as ctx:
    # Add metadata
    ctx.add_metadata("version", "1.0.0")
    ctx.add_metadata("user_tier", "premium")
    ctx.add_tag("production")
    ctx.set_user("user-123")
    
    # Your workflow code
    result = my_agent.process(input_data)
