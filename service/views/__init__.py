"""The stored views while serving: their readers, and the processes that rebuild and replay them."""
