"""The order of what happens at one instant.

Rule Z1, with event-sources.md P27: what becomes too old or expires comes after the ends, retries
of every kind after arrivals and reads, new batches last.
"""

CHANGE, WAIT, END, TIMER, EXPIRY, ARRIVAL, RETRY, BATCH = range(8)
