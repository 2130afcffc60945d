"""A demo provider: a real HTTP server that speaks the providers' protocols with fake keys."""
