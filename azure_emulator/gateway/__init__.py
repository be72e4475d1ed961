"""The HTTPS server and the proxy that serve all of Azure's hosts."""
