"""From an ended span to a masked record, and from there to files and collectors."""
