"""The service: a published network answers over HTTP. FastAPI, onnxruntime and no training framework.

Try it:  .venvs/serving/bin/python -m workshop.serving          with MODEL_URI=<folder or s3:// address>
`__main__` starts the fetcher, a process of its own and the only one that knows boto3, and then the server.
`model_feed` hears from the fetcher, `in_service` holds the model that answers and swaps it; `hot_routes` are
the requests that count, `application` is everything else and the documentation of both.
Of `workshop.ml` this imports `text` alone.
"""
