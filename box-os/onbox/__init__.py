"""What runs on a box beside the agent, as root: slots, the rescue way's mark, lamp and page.

The standard library alone, so that it starts quickly and works when all else is broken; it knows neither ritilib nor
the image's builder. Decisions are pure functions; what touches the machine is in the files that end in a `main`.
"""
