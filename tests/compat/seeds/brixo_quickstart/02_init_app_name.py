Brixo.init(
    app_name="my-agent",
    environment="production",
)
