"""The rules of the automations: pure, without I/O, clock or chance."""
