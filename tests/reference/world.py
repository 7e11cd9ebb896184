"""What there is in one account: settings, environments, provisioned pools, units in use.

Owns the state that the other parts of the model look at, and what changes the number of
provisioned environments. Who may run stands in ``admission.py``, how a run goes in ``runs.py``,
in which order everything happens in ``model.py``.
"""

from reference.entities import Attempt, Environment, Request, Run
from reference.environments import Environments
from reference.limits import RequestRates, ScalingRate
from reference.marks import Marks
from reference.provisioned import Pool, Provisioned
from reference.retries import Retries
from reference.settings import Settings, is_glob
from reference.state import Keys


class World:
    """State of one account and everything that happened in it."""

    def __init__(self, settings: Settings, marks: Marks) -> None:
        self.settings = settings
        self.marks = marks
        self.requests: list[Request] = []
        self.attempts: list[Attempt] = []
        self.in_flight: list[Run] = []
        self.environments = Environments(marks)
        self.provisioned = Provisioned(marks)
        self.rates = RequestRates(marks)
        self.scaling = ScalingRate(marks)
        self.keys = Keys(marks)
        self.retries = Retries(marks)
        self.on_demand_starts: dict[tuple[str, int], int] = {}
        self.bought: dict[str, list[int | None]] = {}
        self.seen: set[str] = set()

    # ---- units -----------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names that may have settings of their own: literal ones and those seen."""
        literal = {name for name in self.settings.functions if not is_glob(name)}
        return sorted(literal | self.seen)

    def takes(self, name: str, key: str) -> bool:
        """Tell whether a function has taken its units yet."""
        # rule: Z20 (of a glob from its first row on, of a literal name from the start)
        return name in self.seen or key in self.settings.functions.get(name, {})

    def reserved(self, name: str) -> int | None:
        """Return a function's reserved concurrency, once it is taken."""
        if not self.takes(name, "reserved_concurrency"):
            return None
        return self.settings.reserved(name, self.marks)

    def allocated(self) -> int:
        """Return the units that are set apart: reserved, and provisioned without reserved."""
        # rule: F1.2, Z16 (alloc follows the settings at once)
        total = 0
        for name in {*self.names(), *(pool.function for pool in self.provisioned.pools.values())}:
            reserved = self.reserved(name)
            total += self.provisioned.claimed(name) if reserved is None else reserved
        return total

    def on_demand_in_flight(self, name: str) -> int:
        """Return a function's runs that no provisioned environment serves."""
        return sum(not run.provisioned and run.row.name == name for run in self.in_flight)

    def unreserved_in_flight(self) -> int:
        """Return the runs on unreserved units."""
        # rule: Z16 (a run counts where its function's setting of the moment puts it)
        return sum(
            not run.provisioned and self.reserved(run.row.name) is None for run in self.in_flight
        )

    # ---- provisioned environments ----------------------------------------------------------

    def configure(self, now: int, *, at_once: bool) -> None:
        """Bring the provisioned pools in line with the settings."""
        for name in self.names():
            if not self.takes(name, "provisioned_concurrency"):
                continue
            wanted = {one.pool: one for one in self.settings.provisions(name, self.marks)}
            for pool in self.provisioned.of_function(name):
                if pool.name not in wanted and not pool.removed:
                    # rule: Z20 (unset by change)
                    self.provisioned.remove(pool)
                    self.resize(pool, 0, now)
            for provision in wanted.values():
                pool = self.provisioned.configure(provision, name, now)
                if provision.initial == pool.configured:
                    continue
                pool.configured = provision.initial
                if at_once:
                    # rule: Q35 (READY at once)
                    pool.requested = provision.initial
                    pool.amounts.append((now, provision.initial))
                    self.make_ready(pool, now)
                else:
                    self.resize(pool, provision.initial, now)

    def resize(self, pool: Pool, size: int, now: int) -> None:
        """Request another number of provisioned environments."""
        for environment in self.provisioned.request(pool, size, now):
            self.remove_provisioned(pool, environment, now, "lowered")
        pool.note(now)

    def make_ready(self, pool: Pool, now: int) -> None:
        """Make as many environments READY as were requested."""
        while len(pool.ready) < pool.requested:
            # rule: Z24 (fresh ones became idle at READY in number order)
            self.add_provisioned(pool, now)
        pool.note(now)

    def add_provisioned(self, pool: Pool, now: int) -> Environment:
        """Add one READY environment to a pool."""
        environment = self.environments.provision(pool.name, pool.made, self.settings, now)
        pool.made += 1
        pool.ready.append(environment)
        # rule: Z24 (their init is billed once each)
        pool.inits.append(now)
        return environment

    def remove_provisioned(
        self, pool: Pool, environment: Environment, now: int, cause: str
    ) -> None:
        """Take a provisioned environment away."""
        environment.removed, environment.cause = now, cause
        environment.idle_since = environment.idle_order = None
        pool.ready.remove(environment)

    def recycle(self, environment: Environment, now: int) -> None:
        """Replace a provisioned environment without a gap."""
        # rule: Z5 (init is billed, nothing else changes)
        pool = self.provisioned.pools[environment.pool]
        since, order = environment.idle_since, environment.idle_order
        self.remove_provisioned(pool, environment, now, "recycled")
        fresh = self.add_provisioned(pool, now)
        if since is not None:
            fresh.idle_since, fresh.idle_order = since, order
