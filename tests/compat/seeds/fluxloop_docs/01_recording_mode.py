import fluxloop

# Enable recording
fluxloop.configure(
    record_args=True,
    recording_file="recordings/args.jsonl"
)

# Arguments are automatically captured
@fluxloop.agent()
def my_handler(request: ComplexRequest):
    return process(request)
