"""AWS on this machine: ministack, embedded and pinned, with what it lacks added, on one port of the
loopback address.

Try it:  python -m localaws serve --state-dir .workshop --port 4566, then any AWS client with that endpoint
Imports nothing of `workshop` and never learns what a lab is. `daemon` starts and stops it as a process of
its own; `server` serves; `additions` says what is hooked into ministack and where. `engine` runs containers,
`ecs` its tasks and `sagemaker` its jobs and endpoints; `registry` holds images, `identity` decides who may what,
`loadbalancer` balances, `restapis` answers as API Gateway does, `alarms` watch metrics, `scaling` acts on them,
`cloudformation` makes stacks.
Everything is kept in STATE_DIR/localaws.

What is not emulated. This is the only list; whatever is on it refuses by name, or is said here to be a
record only.

- Services other than these (UnsupportedOperation, HTTP 501): acm, apigateway, application-autoscaling,
  autoscaling, cloudformation, cloudwatch, cognito, dynamodb, dynamodb streams, ec2, ecr, ecs,
  elasticloadbalancing, events, firehose, iam, kinesis, kms, lambda, logs, pipes, resource groups, route53, s3,
  sagemaker, scheduler, secretsmanager, servicediscovery, ses, sns, sqs, ssm, states, sts, tagging. So no RDS,
  no EKS, no Batch, no Bedrock.
- EC2 instances are records: they have a type, a subnet, an address and tags, and nothing boots. The
  containers that ECS places on them run on this machine, with this machine's kernel, disk and GPUs, if
  any. There is no instance metadata.
- Networks are records too: security groups, routes, subnets and NAT gateways neither filter nor translate.
  Published ports are on the loopback address.
- IAM is enforced (see `identity`; --no-enforce turns it off). Resources, condition keys and the further rights
  of a call are AWS's for application-autoscaling, autoscaling, cloudformation, cloudwatch, dynamodb, ec2, ecr,
  ecs, elasticloadbalancing, events, iam, lambda, logs, s3, sagemaker, ssm and sts, as far as labs use them; for
  other services they are ministack's. Not known: tags of
  existing resources in conditions of calls of EC2's own, service control policies, organisations, VPC endpoint
  policies, what is encrypted with KMS keys. AssumeRoleWithWebIdentity reads the token and checks
  no signature. HTTP to the loopback address counts as aws:SecureTransport. The key
  `local` needs no session token, and neither it nor a function's credentials expire; a task's do, after six
  hours. What EventBridge, Scheduler, Pipes and Step Functions do as a role of theirs is not checked against
  that role; of the calls of functions, those by EventBridge, S3, SNS and API Gateway need the function's
  permission. An instance whose role may not report its tasks' states does not register, where AWS lets it and
  its tasks stay PENDING.
- The loopback address is the border. Everybody who has an account on this machine can call with the key `local`,
  and so start programs as who started the server: not for a machine that is shared. Pages of other sites are
  refused, although a reader's browser could reach the address. Bodies are held in memory, of whoever sends them.
- ECS: tasks run in Docker or as processes (see `localaws.engine`), Fargate's too. Docker refuses privileged
  containers and the network mode host, and has no use for devices and swap settings. Docker in a virtual
  machine (Docker Desktop), rootless or remote can't be used. As processes, users, capabilities, tmpfs, ulimits,
  read-only file systems and init processes have no effect.
  A shell in a container (ECS Exec) has no idle time limit and is not logged; with the process engine what it
  started ends with it.
  A task's network interface has an address of this machine, outside of its subnet; interface trunking
  (awsvpcTrunking) has no effect. Names of tasks in Docker's network (task id, service, family) are a local
  convenience. Volumes of the scope shared are one for all instances; Docker's go when the local AWS stops. A
  task that no instance of its capacity provider could ever hold is refused at once, where AWS leaves it
  PROVISIONING.
  Services: a task without load balancer and health check counts as healthy after one second, on AWS after 40; a
  service in a stack whose creation fails is deleted even where the stack is to be kept; a draining instance's
  tasks stop at once, whatever the service's deployment configuration says. After a restart of the local AWS a
  service's target groups hold its tasks alone, not what was registered by hand.
  Refused: EFS and FSx volumes, Docker volume drivers and their options, FireLens and other log drivers,
  private registry credentials, links between containers, App Mesh proxies, Service Connect and Cloud Map
  registries, Windows containers, container restart policies, Elastic Inference, placement constraints of type
  memberOf, launch types EXTERNAL and MANAGED_INSTANCES, daemon services and deployments by CodeDeploy or
  external controllers, deployment strategies other than ROLLING, their hooks, alarms and early success, volumes
  that a service configures at launch, VPC Lattice target groups, Classic Load Balancers, Availability Zone
  rebalancing, metrics of a service at a resolution of its own, task scale-in protection, service deployments and
  revisions as resources, managed scale-in, UDP port mappings.
- Elastic Load Balancing: application load balancers with HTTP listeners, whose ports are open on a loopback address
  of their own (on macOS on 127.0.0.1), for everybody on this machine; security groups don't filter there either. A
  page of another site may reach a service behind one, as it may any server of this machine; there is no AWS there.
  Targets are addresses, any that this machine reaches, or instances (their containers' host ports).
  A target that has not passed a health check yet is asked twice a second; connections to targets are not reused
  after two idle seconds, so that servers whose keep-alive is shorter than AWS's idle timeout show no 502 here, where
  on AWS they do. Metrics have no Availability Zones, and zeros where AWS reports nothing.
  Refused: network, gateway and classic load balancers, HTTPS, HTTP/2 and gRPC, stickiness, slow start, anomaly
  mitigation, targets that are functions or load balancers, IPv6, actions that authenticate, transforms, regular
  expressions in conditions, access logs, trust stores, capacity reservations.
- ECR: image scans and replication don't run. Layers go with the last image that has them, at once. The only
  limit is the disk's: with less than 200 MB free, layers are refused. The process engine
  runs only images with the label `workshop.environment`.
- CloudFormation: types outside ministack's table and `localaws.cloudformation` are refused before the stack is
  made; so are templates that cfn-lint finds errors in. What a stack's caller must be allowed to do is taken
  from `resource_rights.toml`; for types outside of it all that AWS publishes is asked for. DescribeStacks
  doesn't show a stack's role.
- Auto Scaling: instances come and go at once, without warm-up, hooks or health-check grace; scaling
  policies are records, and scaling activities aren't recorded. Spot instances are marked so, and never
  interrupted.
- CloudWatch: its minute lasts `--metric-seconds` here (60 unless said otherwise): services publish once in so many
  seconds, and periods of alarms and cooldowns of scaling are as much shorter; statistics that are asked for are
  over real seconds. Alarms are judged over their period and two more than AWS says, and act on SNS topics, whatever
  a topic's policy says, and on scaling policies of ECS services. Refused: metric math (alarms and GetMetricData),
  anomaly detection, PromQL alarms, log alarms, evaluation windows and intervals, warm-up periods,
  EvaluateLowSampleCountPercentile, extended statistics but percentiles, actions on EC2, Lambda, Systems Manager and
  Auto Scaling groups, suppressed actions of composite alarms, insight rules, metric streams. Percentiles of points
  that are older than 180 of CloudWatch's minutes are lost.
- Application Auto Scaling: ECS services alone (ecs:service:DesiredCount), by target tracking and by steps, the
  latter set off by alarms that you make. How fast AWS scales in is not public: here by a tenth, by one task at least,
  once in a cooldown. Refused: other namespaces, scheduled actions, predictive scaling, metric math in customized
  metrics, predefined metrics but ALBRequestCountPerTarget, ECSServiceAverageCPUUtilization and
  ECSServiceAverageMemoryUtilization. The service-linked role is there to be seen; its rights are not asked for.
- SageMaker: training jobs, models, endpoints, batch transform, model package groups and packages, tags. Containers
  run on this machine: an instance type gives a memory limit (where it is one of ECS's table) and GPUs, if there are
  any; a volume's size limits nothing. As processes they find /opt/ml where SAGEMAKER_BASE_DIR says, and network
  isolation takes nothing but the credentials from them. Of AWS's own images there are those of built-in algorithms
  that the server was started with (--algorithm), and what they learn is not what the real ones do. A training job
  that runs when the server ends has failed; EnableSageMakerMetricsTimeSeries and MaxPendingTimeInSeconds are records.
  VPCs and KMS keys of models are records; packages are neither scanned nor validated. An operation that is not there
  refuses with UnsupportedOperation; so do inference pipelines (several containers in a model), multi-model endpoints,
  inference components, uncompressed and additional model data, images of registries in a VPC, serverless and
  asynchronous endpoints, shadow variants, data capture, explainers, enhanced metrics, Elastic Inference, core dumps,
  instance pools, capacity reservations, policies of package groups, validation and encryption of packages, their
  managed storage, algorithms as resources, AWS Marketplace; and for training jobs several instances, instance groups,
  spot instances, checkpoints, VPCs, warm pools, training plans, the debugger, the profiler, experiments, MLflow,
  retries, remote debugging, serverless jobs, KMS keys, artefacts that are not compressed, the input modes Pipe and
  FastFile, shuffled channels, augmented manifests, channels from file systems, UpdateTrainingJob, tuning.
  A transform job that runs when the server ends has failed; an endpoint is SystemUpdating until its containers run
  again. An endpoint whose container ends while it starts has failed at once, where AWS starts it anew for minutes. An
  instance takes 256 invocations at once, more are throttled (AWS publishes no limit). Overhead latency begins when the
  request has been read; how long an update may take at most is a record. Refused: shifting traffic but all at once,
  rolling deployments, rollback by alarms, variants without instances, network isolation of what serves, streamed
  answers, sessions; in transform jobs RecordIO, TFRecord, augmented manifests, filters and joins.
- API Gateway: a REST API answers below /_aws/execute-api/API/STAGE of this server's address, where AWS gives each a
  host name of its own. What keys have used of their quota and burst is forgotten with the server, and a quota's day
  begins with the first request. Execution logs and metrics of single methods are none, whatever a stage's settings
  say; a body that Lambda would refuse as too large (6 MB) becomes a 413, which AWS documents nowhere. Stacks are
  refused access logs, canaries and caches of stages.
- Lambda: Python functions run as processes; layers and time limits hold, memory limits don't. No VPC, no
  SnapStart.
- KMS: Encrypt and Decrypt work within one server; Sign and Verify refuse.
- S3: no website hosting, no replication between regions, no Glacier waiting time, no Object Lambda.
- Pages: the lists of IAM and of Auto Scaling come whole, in one page.
- Calls that an emulated service lacks are refused by name: ECS with
  UnsupportedFeatureException (StartTask, task sets, custom attributes and the agent's Submit* calls among
  them), the others with InvalidAction or its like.
- Prices, quotas and service limits: nothing is charged, and but for InvokeEndpoint nothing throttled.
"""
