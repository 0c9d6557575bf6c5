"""Elastic Load Balancing that balances: listeners with ports of their own, health checks, draining, metrics.

Try it:  aws elbv2 describe-load-balancers --query 'LoadBalancers[].DNSName'
ministack keeps the records. `targets` is what other services call. Knows nothing of ECS.
"""
