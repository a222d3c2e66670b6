import fluxloop 

fluxloop.configure(
    # Connection
    collector_url="http://localhost:8000",
    api_key="your-api-key",
    
    # Behavior
    enabled=True,
    debug=False,
    sample_rate=0.1,  # Sample 10% of traces
    
    # Metadata
    service_name="my-service",
    environment="production",
    
    # Recording (new)
    record_args=False,  # Enable to start writing JSONL records immediately
    recording_file="/tmp/args.jsonl",  # Defaults to /tmp/fluxloop_args_<timestamp>.jsonl
    
    # Performance
    batch_size=100,
    flush_interval=5.0,
    timeout=30.0
)
