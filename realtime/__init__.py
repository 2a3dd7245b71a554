"""Carts as live rooms: messages, the op reducer, rooms, socket sessions, presence, fan-out."""
