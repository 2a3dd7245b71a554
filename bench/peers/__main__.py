"""Cartroom, ShareDB, Socket.IO and Hocuspocus on the same cart work, in one run.

    npm ci --prefix bench/peers
    python -m bench.peers --repeats 5 --json peers.json

For every repeat each system gets a store and a Redis of its own, freshly started, and a load of
rooms in a closed loop. The server has one core, the stores and the load have the other. Figures
are medians of the repeats. A run whose acknowledgements, deliveries or quantities don't add up
ends with an error. See bench/peers/README.md for what the figures say and don't.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import uvloop

from bench.figures import table
from bench.peers.comparison import compare, environment, summary
from bench.peers.room_load import Plan, WrongResultError
from bench.peers.stores import CannotRunError, Cores, on_core
from bench.peers.systems import SYSTEMS, missing


def parse_arguments() -> argparse.Namespace:
    names = [system.name for system in SYSTEMS]
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plan = Plan()
    parser.add_argument("--systems", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--stores", nargs="+", choices=("embedded", "stub"), metavar="STORE")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sockets", type=int, default=plan.sockets)
    parser.add_argument("--room", type=int, default=plan.room)
    parser.add_argument("--in-flight", type=int, default=plan.in_flight, help="ops a socket")
    parser.add_argument("--warmup", type=float, default=plan.warmup_s, metavar="SECONDS")
    parser.add_argument("--seconds", type=float, default=plan.seconds)
    parser.add_argument("--ops-max", type=int, help="ops of a socket, at most")
    parser.add_argument("--json", type=Path, help="write the figures of every repeat there, too")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    reason = missing()
    if reason:
        sys.exit(f"bench.peers: {reason}")
    plan = Plan(args.sockets, args.room, args.in_flight, args.warmup, args.seconds, args.ops_max)
    chosen = [system for system in SYSTEMS if system.name in args.systems]
    cores = Cores.allowed()
    if cores.load is None:
        print("bench.peers: one core only, nothing is pinned", file=sys.stderr)
    stores = tuple(args.stores or ("embedded", "stub"))
    try:
        with on_core(cores.load):
            runs = uvloop.run(compare(chosen, stores, plan, args.repeats, cores))
    except (CannotRunError, WrongResultError) as error:
        sys.exit(f"bench.peers: {error}")
    rows = summary(runs)
    print(table(rows))
    described = environment(plan, args.repeats)
    print("\n" + "\n".join(f"{name}: {value}" for name, value in described.items()))
    if args.json:
        figures = {"environment": described, "summary": rows, "runs": runs}
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
