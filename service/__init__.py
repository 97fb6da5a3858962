"""How it is served: wires the log, the views and HTTP together; the only asynchronous package."""
