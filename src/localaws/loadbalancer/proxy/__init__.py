"""The process that carries requests: it accepts, chooses a target, passes both ways, checks health, counts.

Try it:  python -m pytest tests/local/test_loadbalancer_proxy.py
A process of its own, so that a busy control plane does not hold up requests, nor requests the control plane.
It has no state but what `__main__` is told over one socket, imports nothing of the rest of localaws, and ends
when that socket closes.
"""
