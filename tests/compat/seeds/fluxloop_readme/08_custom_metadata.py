with fluxloop.instrument("workflow") as ctx:
    ctx.add_metadata("request_id", "req-123")
    ctx.add_metadata("user_type", "premium")
    ctx.add_metadata("experiment", "variant-A")
    ctx.add_tag("high-priority")
    ctx.add_tag("experimental")
