"""The application: settings, factory, lifecycle, the `cartroom` command, the embedded services."""

__version__ = "0.1.0"
