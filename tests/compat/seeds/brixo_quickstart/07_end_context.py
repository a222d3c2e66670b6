Brixo.end_context(
    output=final_text
)
