Brixo.update_context(
    metadata={"tools_used": ["search", "calculator"]}
)
