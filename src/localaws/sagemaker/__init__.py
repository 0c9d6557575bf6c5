"""SageMaker, as far as the course needs it: training jobs, models, endpoints, batch transform, the model registry.

Try it:  aws sagemaker list-models; aws sagemaker-runtime invoke-endpoint --endpoint-name NAME --body fileb://x out
Two services under one signing name: the control plane (`calls`) and the runtime (`invocations`). An area is a module
with a table of its operations (`Area`, all of them in `hooks`); it checks and keeps records, and what they set going is
in modules of its own. The images run on the engines that ECS has.

    every area         context store arns refusals listing events tagging
    as the job's role  roles access locations joblogs
    containers         containers images algorithms jobfailures
    models, registry   models packagegroups packages
    training jobs      trainingjobs: trainingrequests trainingrecord training channels output jobmetrics linesearch
    endpoints          endpointconfigs, endpoints: deployments endpointlife serving fleets hosting modelservers
                       variants invocations invocationerrors endpointmetrics endpointload
    batch transform    transformjobs: transform transformasking transformrecords, and modelservers
"""
