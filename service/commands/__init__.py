"""From a posted event to its receipt: reading, queueing, deciding, one transaction a group, and imports."""
