"""What `spanwise doctor` finds out: facts about settings, destinations, spools and packages.

Each module but the first two examines one thing and yields findings; nothing here prints, and
nothing is changed by looking.
"""
