"""From events to inboxes: what each member is told of what happened while they were away."""
