"""ECS that runs: tasks, services, capacity and shells, on top of ministack's records.

Try it:  grep -n install src/localaws/ecs/hooks.py
`hooks` puts everything in ministack's place. The task modules know engines and IAM; none knows CloudFormation.
"""
