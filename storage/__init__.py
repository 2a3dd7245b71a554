"""MongoDB: one repository an aggregate, the op log, indexes. Imports nothing of ours."""
