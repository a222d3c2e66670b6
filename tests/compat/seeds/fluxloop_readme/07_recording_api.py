import fluxloop

# Enable recording through configure (preferred)
fluxloop.configure(record_args=True, recording_file="/tmp/args.jsonl")

# Or toggle directly
fluxloop.enable_recording("/tmp/args.jsonl")
fluxloop.record_call_args(target="module:Handler.method", payload={"text": "hi"})

# Optional explicit iteration control
fluxloop.set_recording_options(iteration_auto_increment=False)
fluxloop.record_call_args(target="module:Handler.method", iteration=42, payload={"text": "bye"})

fluxloop.disable_recording()
