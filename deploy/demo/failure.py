"""The error that ends the demo early."""


class DemoFailedError(Exception):
    """Something is not as it should be; the text is for the person who watches."""
