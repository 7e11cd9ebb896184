"""On-demand environments: who is reused, who is created, who goes when.

Owns the pools of environments that requests create, and the making of every environment.
"""

from reference.entities import Environment, Run
from reference.marks import Marks
from reference.philox import between, chance, fnv1a
from reference.settings import Settings
from reference.trace import Row


class Environments:
    """The environments of an account; ``alive`` are those on demand, ``all`` every one ever."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.alive: list[Environment] = []
        self.all: list[Environment] = []
        # rule: Z4 (by pool: the instant from which the next period counts)
        self.halving_since: dict[str, int] = {}
        self.halved_before: set[str] = set()
        self.releases = 0

    def idle(self, pool: str | None = None) -> list[Environment]:
        """Return the idle environments, of one pool or of all, longest idle first."""
        idle = [
            environment
            for environment in self.alive
            if environment.idle_since is not None and pool in (None, environment.pool)
        ]
        return sorted(idle, key=lambda one: (one.idle_since, one.idle_order))

    # ---- beginning -------------------------------------------------------------------------

    def choose(
        self, idle: list[Environment], row: Row, attempt: int, settings: Settings
    ) -> Environment:
        """Choose among idle environments, which are given longest idle first."""
        self.marks.hit("F3.2.warm")
        if len(idle) == 1:
            return idle[0]
        policy = settings.reuse_policy
        # rule: Z6 (by the instant of becoming idle, ties by order of release)
        if policy == "mru":
            tie = idle[-2].idle_since == idle[-1].idle_since
            self.marks.hit("Z6.tie_by_release" if tie else "Z6.most_recent")
            return idle[-1]
        self.marks.hit(f"Z6.{policy}")
        if policy == "lru":
            return idle[0]
        if policy == "fifo":
            # rule: Z6 (created first)
            return min(idle, key=lambda one: (one.created, one.number))
        return idle[
            between(
                0,
                len(idle) - 1,
                seed=settings.seed,
                purpose="reuse",
                identity=row.identity,
                attempt=attempt,
                copy=row.copy,
            )
        ]

    def take(self, environment: Environment) -> None:
        """Make an idle environment busy."""
        environment.idle_since = environment.idle_order = environment.expires = None
        # rule: Z4 (the timer stops when none is idle)
        if environment.pool in self.halving_since and not self.idle(environment.pool):
            self.marks.hit("Z4.stopped_by_start")
            del self.halving_since[environment.pool]

    def create(self, row: Row, attempt: int, settings: Settings, now: int) -> Environment:
        """Create an environment for a request that found no idle one."""
        self.marks.hit("F3.2.cold")
        if any(environment.pool == row.pool for environment in self.alive):
            self.marks.hit("F3.2.busy")
        retires = None
        # rule: Z5 (counted from the start of its init, drawn by the row that created it)
        if settings.max_lifetime is not None:
            low, high = settings.max_lifetime
            if low < high:
                self.marks.hit("Z5.lifetime_drawn")
            retires = now + between(
                low,
                high,
                seed=settings.seed,
                purpose="lifetime",
                identity=row.identity,
                attempt=attempt,
                copy=row.copy,
            )
        environment = Environment(len(self.all), row.pool, now, retires)
        self.all.append(environment)
        self.alive.append(environment)
        return environment

    def provision(self, pool: str, count: int, settings: Settings, now: int) -> Environment:
        """Make a provisioned environment, idle from now on; ``count`` came before it."""
        retires = None
        if settings.max_lifetime is not None:
            retires = now + between(
                *settings.max_lifetime,
                seed=settings.seed,
                purpose="provlife",
                identity=(count, fnv1a(pool)),
                attempt=0,
            )
        environment = Environment(len(self.all), pool, now, retires, provisioned=True)
        self.all.append(environment)
        self.idle_again(environment, now)
        return environment

    def hidden(self, row: Row, attempt: int, settings: Settings) -> bool:
        """Tell whether a new environment's init is hidden from its request."""
        # rule: Z54 (drawn by the row)
        return settings.proactive_fraction > 0 and chance(
            settings.proactive_fraction,
            seed=settings.seed,
            purpose="proactiv",
            identity=row.identity,
            attempt=attempt,
            copy=row.copy,
        )

    # ---- ending ----------------------------------------------------------------------------

    def idle_again(self, environment: Environment, now: int) -> None:
        """Make an environment idle."""
        environment.idle_since = now
        environment.idle_order = self.releases
        self.releases += 1

    def release(self, run: Run, settings: Settings, reset: bool, now: int) -> None:
        """Take an environment back from its run."""
        environment = run.environment
        # rule: Z8 (busy ones end at their release)
        if environment.obsolete:
            self.marks.hit("Z8.busy_ends_at_release")
            self.remove(environment, now, "obsolete at release")
            return
        if reset and settings.error_reset == "destroy":
            # rule: Z7 (gone at release)
            self.marks.hit("Z7.destroyed")
            self.remove(environment, now, "destroyed")
            return
        # rule: Z5 (a busy environment goes at its release)
        if environment.retires is not None and environment.retires <= now:
            at_release = environment.retires == now
            self.marks.hit("Z5.lifetime_at_release" if at_release else "Z5.lifetime_busy")
            self.remove(environment, now, "lifetime at release")
            return
        if reset:
            # rule: F3.5 (kept, with the flag needs_init)
            self.marks.hit("F3.5.reset")
            environment.needs_init = True
        self.idle_again(environment, now)
        policy = settings.idle
        if policy.policy in ("fixed", "uniform"):
            # rule: Z5 (uniform: drawn anew each time, keyed by the row just ended)
            environment.expires = now + between(
                policy.low,
                policy.high,
                seed=settings.seed,
                purpose="idle",
                identity=run.row.identity,
                attempt=run.attempt,
                copy=run.row.copy,
            )
        elif policy.policy == "halving":
            # rule: Z4 (the timer starts when the first environment of the pool becomes idle)
            if environment.pool not in self.halving_since:
                if environment.pool in self.halved_before:
                    self.marks.hit("Z4.started_again")
                self.halved_before.add(environment.pool)
                self.halving_since[environment.pool] = now
        else:
            self.marks.hit("F3.3.none")

    def expire(
        self, environment: Environment, settings: Settings, by_lifetime: bool, now: int
    ) -> None:
        """End an idle environment whose time has come."""
        if by_lifetime:
            self.marks.hit("Z5.lifetime_idle")
            self.remove(environment, now, "lifetime")
        else:
            policy = settings.idle.policy
            self.marks.hit("F3.3.fixed" if policy == "fixed" else "Z5.uniform")
            self.remove(environment, now, "idle")

    def halve(self, pool: str, now: int) -> None:
        """Evict half of a pool's idle environments, the odd one too."""
        # rule: Z4 (half rounded up, longest idle first)
        idle = self.idle(pool)
        evicted = (len(idle) + 1) // 2
        parity = "tick_odd" if len(idle) % 2 else "tick_even"
        self.marks.hit("Z4.tick_one" if len(idle) == 1 else f"Z4.{parity}")
        if evicted < len(idle) and idle[evicted - 1].idle_since == idle[evicted].idle_since:
            self.marks.hit("Z4.tie")
        if idle[-1].idle_since == now:
            self.marks.hit("Z4.release_at_tick")
        for environment in idle[:evicted]:
            self.remove(environment, now, "halving")
        if pool in self.halving_since:
            self.halving_since[pool] = now

    def make_obsolete(self, name: str, now: int) -> None:
        """End the environments of a function whose configuration has changed."""
        own = [one for one in self.alive if one.pool.partition(":")[0] == name]
        for environment in own:
            if environment.idle_since is None:
                environment.obsolete = True
            else:
                self.marks.hit("Z8.idle_ends_at_once")
                self.remove(environment, now, "obsolete")

    def remove(self, environment: Environment, now: int, cause: str) -> None:
        """Take an environment out of its pool for good."""
        environment.removed = now
        environment.cause = cause
        self.alive.remove(environment)
        # rule: Z4 (the timer stops when none is idle)
        timed = environment.pool in self.halving_since
        if timed and not self.idle(environment.pool):
            del self.halving_since[environment.pool]
            if cause == "lifetime":
                self.marks.hit("Z4.stopped_by_lifetime")
