"""The subcommands of `cartroom`, a module each."""
