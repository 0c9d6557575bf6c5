"""Application Auto Scaling, for the number of an ECS service's tasks.

Try it:  aws application-autoscaling register-scalable-target --service-namespace ecs --scalable-dimension
         ecs:service:DesiredCount --resource-id service/CLUSTER/SERVICE --min-capacity 1 --max-capacity 3
`calls` answers requests, `targets` and `policies` keep what they say, `tracking` and `steps` count how many tasks
there should be, `acting` sets the service to it when an alarm goes off, `activities` remembers that. A cooldown is
in CloudWatch's seconds: of 60, here, it is as long as CloudWatch's minute.
"""
