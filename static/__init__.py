"""The browser client: files that `handlers.pages` serves as they are. Nothing here is built."""
