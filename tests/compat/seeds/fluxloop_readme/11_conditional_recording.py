import os
import fluxloop

# Only record in staging
if os.getenv("ENVIRONMENT") == "staging":
    fluxloop.configure(
        record_args=True,
        recording_file="/tmp/staging_args.jsonl",
    )
