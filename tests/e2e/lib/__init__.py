"""What the end-to-end tests stand on: the gateway, real servers around it, and plain-socket clients."""
