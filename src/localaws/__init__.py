"""AWS on this machine: ministack, embedded and pinned, with what it lacks added, on one port of the
loopback address.

Try it:  python -m localaws serve --state-dir .workshop --port 4566, then any AWS client with that endpoint
Imports nothing of `workshop` and never learns what a lab is. `daemon` starts and stops it as a process of
its own; `server` serves; `additions` says what is hooked into ministack and where; everything is kept in
STATE_DIR/localaws.

What is not emulated. This is the only list; whatever is on it refuses by name, or is said here to be a
record only.

- Services other than these (UnsupportedOperation, HTTP 501): acm, apigateway, autoscaling, cloudformation,
  cognito, dynamodb, dynamodb streams, ec2, ecr, ecs, elasticloadbalancing, events, firehose, iam, kinesis,
  kms, lambda, logs, cloudwatch, pipes, resource groups, route53, s3, scheduler, secretsmanager,
  servicediscovery, ses, sns, sqs, ssm, states, sts, tagging. So no SageMaker, no RDS, no EKS, no Batch, no
  Bedrock, no Application Auto Scaling.
- EC2 instances are records: they have a type, a subnet, an address and tags, and nothing boots. The
  containers that ECS places on them run on this machine, with this machine's kernel, disk and GPUs, if
  any.
- Networks are records too: security groups, routes and subnets don't filter. Ports are on the loopback
  address.
- IAM is not enforced yet: any credentials pass, and a missing right shows only on AWS. Capabilities are
  asked for.
- ECS: tasks run in Docker or as processes (see `localaws.engine`), Fargate's too. Docker refuses privileged
  containers and the network mode host, and has no use for devices and swap settings. Docker in a virtual
  machine (Docker Desktop), rootless or remote can't be used.
  Refused: ECS Exec (ExecuteCommand), EFS and FSx volumes, FireLens and other log drivers, environment files,
  private registry credentials, volumesFrom, links between containers, App Mesh proxies, Service Connect and
  Cloud Map registries, Windows containers, container restart policies, Elastic Inference, placement
  constraints of type memberOf, launch types EXTERNAL and MANAGED_INSTANCES, daemon services and deployments
  by CodeDeploy or external controllers, task scale-in protection, service deployments and revisions as
  resources, managed scale-in, UDP port mappings.
- ECR: image scans and replication don't run. The process engine
  runs only images with the label `workshop.environment`.
- CloudFormation: types outside ministack's table and `localaws.resources` are refused before the stack is
  made; so are templates that cfn-lint finds errors in. Stacks act with all rights, whoever deploys them.
- Auto Scaling: instances come and go at once, without warm-up, hooks or health-check grace; scaling
  policies are records. Spot instances are marked so, and never interrupted.
- Lambda: Python functions run as processes; layers and time limits hold, memory limits don't. No VPC, no
  SnapStart.
- KMS: Encrypt and Decrypt work within one server; Sign and Verify refuse.
- S3: no website hosting, no replication between regions, no Glacier waiting time, no Object Lambda.
- Prices, quotas and service limits: nothing is charged or throttled.
"""
