# 1. Use sampling
fluxloop.configure(sample_rate=0.1)

# 2. Increase batch size
fluxloop.configure(batch_size=100)

# 3. Adjust flush interval
fluxloop.configure(flush_interval=10.0)

# 4. Disable in hot paths
@fluxloop.agent()  # Only on entry points
def main_handler():
    for item in items:
        process_item(item)  # No decorator here
