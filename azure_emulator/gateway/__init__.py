"""The HTTPS server and proxy that stand for all of Azure's hosts."""
