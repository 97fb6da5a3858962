"""What may happen: events, times and the rules that refuse. Pure: no input or output, no clock, no framework."""
