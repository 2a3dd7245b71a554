"""The doors: REST and the WebSocket upgrade. Parse, call one service, reply."""
