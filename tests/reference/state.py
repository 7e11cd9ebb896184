"""Shared state: runs that must take turns.

Owns who holds a key and who waits for it, and the versions of keys. When a run begins, answers
and ends stands in ``model.py``.
"""

from dataclasses import dataclass, field

from reference.entities import Run
from reference.marks import Marks


@dataclass
class Key:
    """A record of shared state."""

    holders: list[Run] = field(default_factory=list)
    queue: list[Run] = field(default_factory=list)
    version: int = 0


class Keys:
    """All records of shared state of an account."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.keys: dict[str, Key] = {}

    def of(self, run: Run) -> list[Key]:
        """Return the records that a run touches."""
        return [self.keys.setdefault(name, Key()) for name, _ in run.keys]

    def request(self, run: Run) -> bool:
        """Hold the next key if nobody is in the way, else join its queue."""
        key, writes = self.of(run)[run.held], run.keys[run.held][1]
        # rule: state (held if free for this access and nobody waits)
        if not key.queue and self.compatible(key, run):
            self.marks.hit("state.shared" if key.holders else "state.free")
            key.holders.append(run)
            run.held += 1
            return True
        # rule: Z34 (first come first served, one queue for readers and writers)
        if not writes and self.compatible(key, run):
            self.marks.hit("state.reader_behind_writer")
        elif writes:
            writers = any(self.writes(key, holder) for holder in key.holders)
            self.marks.hit("state.writer_waits_for_writer" if writers else "state.writer_waits")
        else:
            self.marks.hit("state.reader_waits")
        key.queue.append(run)
        return False

    def compatible(self, key: Key, run: Run) -> bool:
        """Tell whether a run may hold a key together with those who hold it."""
        # rule: state (readers share, a writer is alone)
        if self.writes(key, run):
            return not key.holders
        return not any(self.writes(key, holder) for holder in key.holders)

    def writes(self, key: Key, run: Run) -> bool:
        """Tell whether a run touches a record as a writer."""
        return any(
            one is key and writes for one, (_, writes) in zip(self.of(run), run.keys, strict=True)
        )

    def leave(self, run: Run, now: int) -> list[Run]:
        """Take a run away, whether it holds or waits; return those who get one of its keys."""
        return [granted for key in self.of(run) for granted in self.leave_one(key, run, now)]

    def leave_one(self, key: Key, run: Run, now: int) -> list[Run]:
        """Take a run away from one record; return those who hold it now."""
        if run in key.holders:
            key.holders.remove(run)
        if run in key.queue:
            key.queue.remove(run)
        # rule: state (from the head: one writer, or all readers up to the next writer)
        granted = []
        while key.queue and self.compatible(key, key.queue[0]):
            # rule: Z1, Z10 (whose wait reaches its limit now gives up next, it is not granted)
            if key.queue[0].limit_at == now:
                self.marks.hit("state.gives_up_next")
                break
            granted.append(key.queue.pop(0))
            granted[-1].held += 1
            key.holders.append(granted[-1])
        if len(granted) > 1:
            self.marks.hit("state.readers_together")
        return granted
