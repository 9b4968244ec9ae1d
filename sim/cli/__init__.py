"""The `bandwall` command: it parses, calls one public function and prints.

A mistake of the user's ends with one sentence on standard error and exit code 2.
"""

import gc
import os
import sys

ROOM_FOR_FRAMES = 32_768
"""Stack slots (8 bytes) that `execute` asks for on behalf of all that it calls.

CPython keeps frames in chunks of 16 KiB and unmaps a chunk when the last frame in it returns, so calls made
right at a chunk's end map and unmap memory every time: 4,000 times during the imports of a run, which nest
deep. One frame that asks for 256 KiB gets a chunk of 512 KiB, whose rest no call below it outgrows.
"""


def main() -> None:
    """Entry point of the command."""
    # Start-up counts: no BLAS threads (arrays here are small), no search for pydantic plugins, and no passes
    # of the cycle collector over what a run keeps to its end anyway.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    execute.__code__ = execute.__code__.replace(co_stacksize=ROOM_FOR_FRAMES)
    code = execute(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is written; taking a hundred modules apart one by one would take as long as loading them.
    os._exit(code)


def execute(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code: 2 after one sentence about a mistake of the user's."""
    from sim.cli.app import app
    from sim.errors import UserError

    try:
        code = app(arguments or ["--help"], prog_name="bandwall", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except UserError as error:
        print(f"bandwall: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (as `head` does); what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        # Typer's usage errors (an unknown option, a missing argument) carry their own sentence and code.
        sentence = getattr(error, "format_message", None)
        if sentence is None:
            raise
        print(f"bandwall: {sentence()}", file=sys.stderr)
        return 2
