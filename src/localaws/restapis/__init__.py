"""REST APIs of API Gateway as AWS runs them: deployments, limits, validation, function answers, metrics.

Try it:  curl -i -X POST http://127.0.0.1:4566/_aws/execute-api/API/v1/predict   (no key: 403)
ministack keeps the records and routes requests; what it leaves out of the way from a request to a function is
here, in `hooks`. On AWS an API answers at https://API.execute-api.REGION.amazonaws.com/STAGE/PATH; here at
/_aws/execute-api/API/STAGE/PATH of the local AWS.
"""
