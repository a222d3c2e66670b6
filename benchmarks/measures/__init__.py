"""What is measured: each module measures one thing, and returns what goes into the results."""
