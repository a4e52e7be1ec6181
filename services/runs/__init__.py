"""The run ledger."""
