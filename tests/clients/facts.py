"""What the scripts beside this one share: where the gateway is, and the facts that a script checks one by one."""

import asyncio
import inspect
import os
import traceback

# `https://localhost:PORT`; whom to trust is in the variables that each library reads by itself.
URL = os.environ.get("PORTCULLIS_URL", "")
ADDRESS = URL.removeprefix("https://")


def check(*facts) -> None:
    """Runs every fact and says which do not hold; the script fails if one does not."""
    failed = 0
    for fact in facts:
        try:
            told = fact()
            if inspect.isawaitable(told):
                asyncio.run(told)
            print("ok    ", fact.__name__)
        except Exception:
            failed += 1
            print("FAILED", fact.__name__)
            traceback.print_exc()
    if failed or not facts:
        raise SystemExit(f"{failed} of {len(facts)} facts do not hold")


def raises(kind, act):
    """The error of exactly this kind that `act` must end with."""
    try:
        result = act()
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__} is not {kind.__name__}: {error}"
        return error
    raise AssertionError(f"{kind.__name__} was to be raised, not {result!r} returned")
