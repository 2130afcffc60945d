"""An outbound gateway for bots: a token comes in, the real key goes out."""

__version__ = "0.1.0"
