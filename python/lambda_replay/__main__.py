"""``python -m lambda_replay`` is ``lambda-replay``."""

from __future__ import annotations

from lambda_replay.cli import main

if __name__ == "__main__":
    main()
