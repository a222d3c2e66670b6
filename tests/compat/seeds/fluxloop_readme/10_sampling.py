# Sample only 1% of traces
fluxloop.configure(sample_rate=0.01)

# Or dynamic sampling
import random
if user.is_premium or random.random() < 0.1:
    fluxloop.configure(sample_rate=1.0)
else:
    fluxloop.configure(sample_rate=0.01)
