"""Fan-out between instances through Redis streams: `RedisBus` is the production `Bus`."""

from realtime.fanout.bus import RedisBus

__all__ = ["RedisBus"]
